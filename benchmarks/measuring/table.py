"""The table at a run's end: figure, target, verdict."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.measuring.records import Figure, Record
from benchmarks.measuring.targets import Bounds


def numbers(values: Sequence[float], unit: str, *, exact: bool = False) -> tuple[list[str], str]:
    """Return values, rounded to three figures unless they are exact, and their unit: seconds as ms or µs where the
    first is below one.

    >>> numbers([0.000213, 0.0002], "s"), numbers([0.98765], ""), numbers([51234.5], "reads/s")
    ((['213', '200'], 'µs'), (['0.988'], ''), (['51,200'], 'reads/s'))
    >>> numbers([0.95], "", exact=True), numbers([50000], "reads/s", exact=True)
    ((['0.95'], ''), (['50,000'], 'reads/s'))
    """
    if unit == "s":
        size = abs(values[0])
        scale, unit = (1.0, "s") if size >= 1 or size == 0 else (1e3, "ms") if size >= 1e-3 else (1e6, "µs")
        values = [value * scale for value in values]
    return [_exactly(value) if exact else _three_figures(value) for value in values], unit


def _exactly(value: float) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _three_figures(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:#.3g}"


def claim(figure: Figure) -> str:
    """Return in words what a figure says.

    >>> claim(Figure("kdkit", "hand-written loop", "speed", "", 0.99))
    'speed of kdkit against hand-written loop'
    """
    against = f" against {figure.against}" if figure.against is not None else ""
    return f"{figure.quantity} of {figure.of}{against}"


def measured(figure: Figure) -> str:
    """Return a figure's value and interval.

    >>> measured(Figure("kdkit", None, "time", "s", 0.0101, 0.01, 0.0112))
    '10.1 ms (10.0 to 11.2)'
    """
    if figure.low is None or figure.high is None:  # counted
        (value,), unit = numbers([figure.value], figure.unit, exact=True)
        return f"{value} {unit}".rstrip()
    (value, low, high), unit = numbers([figure.value, figure.low, figure.high], figure.unit)
    return f"{value} {unit}".rstrip() + f" ({low} to {high})"


def target(figure: Figure) -> str:
    """Return a figure's bounds in words; empty without any.

    >>> target(Figure("kdkit", None, "time", "s", 0.0101, at_most=10))
    'at most 10 s'
    """
    said = []
    for words, bound in (("at least", figure.at_least), ("at most", figure.at_most)):
        if bound is not None:
            (shown,), unit = numbers([bound], figure.unit, exact=True)
            said.append(f"{words} {shown} {unit}".rstrip())
    return ", ".join(said)


def verdict(figure: Figure) -> str:
    """Return whether a figure's whole interval is within the bounds; empty without any.

    >>> verdict(Figure("kdkit", "loop", "time", "", 1.01, 0.99, 1.03, at_most=1.02, met=True))
    'not told'
    """
    if figure.met is None:
        return ""
    bounds = Bounds(figure.at_least, figure.at_most)
    ends = {bounds.met(end) for end in (figure.low, figure.high) if end is not None}
    if len(ends) == 2:
        return "not told"
    return "met" if figure.met else "missed"


def print_table(records: Iterable[Record], console: Console) -> None:
    """Print what was found, a line a figure."""
    table = Table("measurement", "figure", "value (95% interval)", "target", "verdict")
    for record in records:
        for place, figure in enumerate(record.figures):
            found = verdict(figure)
            colour = {"met": "green", "missed": "red"}.get(found, "default")
            name = f"{record.suite}: {record.name}" if place == 0 else ""
            table.add_row(name, claim(figure), measured(figure), target(figure), f"[{colour}]{found}[/{colour}]")
    console.print(table)
