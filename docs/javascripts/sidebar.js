/* The theme scrolls the sidebar until the current page is in its middle, also where the page was in sight:
   then the list keeps its beginning. */
const sidebar = document.querySelector(".md-sidebar--primary .md-sidebar__scrollwrap");
const current = sidebar?.querySelector(".md-nav__link--active[href]");
if (current) {
  const onScroll = () => {
    const bottom = current.offsetTop - sidebar.offsetTop + current.offsetHeight;
    if (bottom < sidebar.clientHeight) sidebar.scrollTop = 0;
  };
  sidebar.addEventListener("scroll", onScroll, { once: true });
  // What comes later is the reader's own.
  setTimeout(() => sidebar.removeEventListener("scroll", onScroll), 1000);
}
