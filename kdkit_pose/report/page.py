"""The report's page, in HTML that is well-formed XML too."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from kdkit_pose.report.comparison import comparison
from kdkit_pose.report.figure import Figure
from kdkit_pose.report.run import ReportedRun
from kdkit_pose.report.style import STYLE
from kdkit_pose.report.table import runs_table

# The browser itself is told to load nothing from outside.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render_page(title: str, runs: Sequence[ReportedRun], figures: Sequence[Figure], notes: Sequence[str]) -> str:
    """The whole page, with style and pictures inside; every text given is escaped."""
    sections = [_results(runs), *map(_figure, figures), _notes(notes)]
    return document(title, "\n".join(section for section in sections if section))


def document(title: str, body: str, style: str = "") -> str:
    """A page of the report's look, with ``body`` in HTML under its title, and perhaps more ``style``."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta http-equiv="Content-Security-Policy" content="{_POLICY}" />
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def _results(runs: Sequence[ReportedRun]) -> str:
    if not runs:
        return "<p>No run is reported.</p>"
    sentence = comparison(runs)
    lead = f'<p class="lead">{escape(sentence)}</p>\n' if sentence else ""
    return (
        f"{lead}<section>\n<h2>Results</h2>\n{runs_table(runs)}\n"
        '<p class="small">AP and AR are means over the OKS thresholds 0.50 to 0.95, AP50 and AP75 at one of them, '
        "APM and APL of medium and large people; all between 0 and 1. A dash is a figure that is not defined."
        "</p>\n</section>"
    )


def _figure(figure: Figure) -> str:
    height, width, _ = figure.image.shape
    content = b64encode(figure.png).decode()
    title = escape(figure.title)
    return (
        f'<section>\n<h2>{title}</h2>\n<figure>\n<div class="scroll picture" tabindex="0" role="region" '
        f'aria-label="{title}">'
        f'<img src="data:image/png;base64,{content}" width="{width}" height="{height}" alt="{title}" /></div>\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>\n</section>"
    )


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section>\n<h2>Settings and notes</h2>\n<ul>\n{items}\n</ul>\n</section>"
