"""An ablation's results as lines of text."""

from typing import TYPE_CHECKING

from kdkit.ablation.interval import Interval

if TYPE_CHECKING:
    from kdkit.ablation.results import Results, Row

_HEAD = ("variant", "seeds", "mean (95% interval)", "difference (95% interval)", "steps", "teacher passes")


def results_table(results: "Results") -> str:
    """Return a table of the results, a line a variant, with what they are called in a line before it."""
    rows = [_HEAD, *(_cells(row) for row in results.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    better = "larger" if results.mode == "max" else "smaller"
    lines = [
        f"{results.metric}, {better} is better; differences to '{results.baseline}', paired by seed; one whose "
        f"interval leaves out 0 has a *"
    ]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def interval_words(interval: Interval, *, sign: bool = False) -> str:
    """Return a mean and its interval in words.

    >>> interval_words(Interval(0.0123, -0.001, 0.0256, 3), sign=True)
    '+0.0123 (-0.0010 to +0.0256)'
    """
    form = "+.4f" if sign else ".4f"
    if not interval.is_known:
        return f"{interval.mean:{form}}"
    return f"{interval.mean:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _cells(row: "Row") -> tuple[str, ...]:
    difference = ""
    if row.difference is not None:
        star = " *" if row.difference.leaves_out_zero else ""
        difference = f"{interval_words(row.difference, sign=True)}{star}"
    return (
        row.name,
        str(row.metric.count),
        interval_words(row.metric),
        difference,
        f"{row.steps:,}",
        f"{row.teacher_passes:,}",
    )
