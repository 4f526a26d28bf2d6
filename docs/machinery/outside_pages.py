"""Pages of the site that are files outside docs/: the changelog, how to contribute, the examples.

On GitHub a link such as ``../examples/odkd_pose.py`` leads to the file; here it is turned to the file's page.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)")


def outside_pages() -> dict[str, str]:
    """Return the page of the site by the path of each file outside docs/, both from their roots."""
    pages = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "README.md": "index.md"}
    for script in sorted((ROOT / "examples").rglob("*.py")):
        path = script.relative_to(ROOT).as_posix()
        pages[path] = path.removesuffix(".py") + ".md"
    for readme in sorted((ROOT / "examples").glob("*/README.md")):
        path = readme.relative_to(ROOT).as_posix()
        pages[path] = path.replace("README", "index")
    return pages


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, and the pictures of the examples."""
    for source, page in outside_pages().items():
        if source == "README.md":
            continue
        text = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".py"):
            text = f"# {source}\n\n```python\n{text}```\n"
        files.append(File.generated(config, page, content=_turn_links(text, source, page)))
    for picture in sorted((ROOT / "examples").glob("*/*.jpg")):
        path = picture.relative_to(ROOT).as_posix()
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn the links of a page of docs/ that lead out of it."""
    if page.file.generated_by:
        return markdown
    return _turn_links(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def _turn_links(markdown: str, source: str, page: str) -> str:
    """Turn links that are relative to ``source``, in the repository, to such as are relative to ``page``."""
    pages = outside_pages()

    def turn(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        found = pages.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
        if found is None:
            return match[0]
        return match[1] + os.path.relpath(found, posixpath.dirname(page) or ".").replace(os.sep, "/")

    return LINK.sub(turn, markdown)
