"""The table of runs, in HTML."""

from collections.abc import Sequence
from html import escape

from kdkit_pose.report.run import ReportedRun

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR")
"""The metrics that the table has a column for."""

DASH = "\N{EN DASH}"
"""Stands for what is not known."""


def runs_table(runs: Sequence[ReportedRun]) -> str:
    """A row for each run: name, network, parameters, figures as fractions, training time."""
    headers = ["name", "network", "parameters", *FIGURES, "training"]
    head = "".join(f'<th scope="col">{header}</th>' for header in headers)
    rows = "\n".join(_row(run) for run in runs)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="results">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
        f'<p class="small">{escape(boxes_sentence(runs))}</p>'
    )


def boxes_sentence(runs: Sequence[ReportedRun]) -> str:
    """Where the boxes came from, without which an AP says little."""
    sources = {run.name: str(run.metrics.get("boxes") or "unknown") for run in runs}
    if len(set(sources.values())) == 1:
        return f"Boxes of the people: {next(iter(sources.values()))}."
    listed = ", ".join(f"{name}: {source}" for name, source in sources.items())
    return f"Boxes of the people, which differ, so that the figures do not compare: {listed}."


def format_parameters(parameters: int) -> str:
    """A count as it is read: 950, 12.3 k, 1.23 M."""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if parameters >= unit:
            count = parameters / unit
            return f"{count:.0f}{letter}" if count >= 100 else f"{count:.3g}{letter}"
    return str(parameters)


def format_seconds(seconds: float) -> str:
    """A duration as it is read: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def _row(run: ReportedRun) -> str:
    values = (run.metric(figure) for figure in FIGURES)
    cells = [
        f"<td>{escape(run.network)}</td>",
        f'<td class="number" title="{run.parameters:,}">{format_parameters(run.parameters)}</td>',
        *(f'<td class="number">{DASH if value is None else f"{value:.3f}"}</td>' for value in values),
        f'<td class="number">{format_seconds(run.seconds)}</td>',
    ]
    return f'<tr><th scope="row">{escape(run.name)}</th>{"".join(cells)}</tr>'
