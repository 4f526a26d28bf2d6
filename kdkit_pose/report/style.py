"""The look of the page."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfbfa; --ink: #22252a; --soft: #5d646e; --line: #dcdfe3; --card: #ffffff; --accent: #5a4fa3;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #15171a; --ink: #e4e6ea; --soft: #9ba3ae; --line: #33383f; --card: #1d2024; --accent: #b3a9f5; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.2rem); line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.75rem 0 0.75rem; }
p, li, figcaption { max-width: 46rem; overflow-wrap: anywhere; }
.lead { font-size: 1.1rem; border-left: 3px solid var(--accent); padding-left: 1rem; }
.small, figcaption { font-size: 0.9rem; color: var(--soft); }
ul { padding-left: 1.2rem; }
li { margin: 0.25rem 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.55rem 0.75rem; text-align: right; white-space: nowrap; }
thead th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); }
tbody tr + tr > * { border-top: 1px solid var(--line); }
th:first-child, td:nth-child(2), thead th:nth-child(2) { text-align: left; }
tbody th { font-weight: 600; }
th:first-child { position: sticky; left: 0; background: var(--card); }
figure { margin: 0; }
.picture { background: #ffffff; padding: 0.75rem; }
.picture img { display: block; width: 100%; min-width: 36rem; height: auto; }
figcaption { margin-top: 0.6rem; }
@media (prefers-color-scheme: dark) { .picture { filter: brightness(0.92); } }
@media (max-width: 40rem) {
  main { padding: 1.5rem 1rem 3rem; }
  th, td { padding: 0.5rem 0.6rem; }
  tbody th { white-space: normal; min-width: 6.5rem; }
}
@media print { .scroll { overflow: visible; } .picture img { min-width: 0; } }
"""
"""CSS for a narrow and a wide screen, light and dark; pictures keep a white ground in both."""
