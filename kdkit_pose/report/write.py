"""Writing the report."""

from collections.abc import Sequence
from pathlib import Path

from kdkit.errors import ConfigurationError
from kdkit.files import write_atomically
from kdkit_pose.report.figure import Figure
from kdkit_pose.report.page import render_page
from kdkit_pose.report.run import ReportedRun


def write_report(
    folder: Path,
    *,
    title: str,
    runs: Sequence[ReportedRun],
    figures: Sequence[Figure] = (),
    notes: Sequence[str] = (),
) -> Path:
    """Write ``report.html``, a page that needs nothing else, and its pictures as ``report/<name>.png``.

    Args:
        folder: Where to; made where it is missing. Files of the same names are replaced.
        title: The page's title.
        runs: The rows of the table, in its order.
        figures: The pictures, in their order.
        notes: Plain sentences, such as settings; of data with predicted masks also what
            `kdkit_pose.masks.describe` says.

    Returns:
        The page's path.

    Raises:
        ConfigurationError: Two figures of one name.
    """
    names = [figure.name.lower() for figure in figures]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigurationError(f"two figures are called {repeated[0]!r}: give each a name of its own")
    page = folder / "report.html"
    text = render_page(title, runs, figures, notes)
    for figure in figures:
        _write(folder / "report" / f"{figure.name}.png", figure.png)
    _write(page, text.encode())
    return page


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
