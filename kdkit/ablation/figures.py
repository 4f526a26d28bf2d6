"""An ablation's results as pictures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdkit.ablation.interval import mean_interval
from kdkit.ablation.results import Results
from kdkit.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart.
_COLOURS = ("#4d4d4d", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# Each dash goes through all colours before the next one.
_DASHES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 4)))
_CLEAR, _UNCLEAR, _INK, _FAINT = "#0072b2", "#8a929c", "#333333", "#dfe4ea"


def draw_differences(results: Results, path: str | Path | None = None) -> "Figure":
    """Draw each variant's paired difference to the baseline: a point a seed, a bar for mean and interval.

    Bars whose interval leaves out 0 are blue, the others grey.

    Args:
        results: with seeds that the baseline has too.
        path: a file to write, its format by its suffix.

    Raises:
        ConfigurationError: if there is no variant to compare with the baseline.
    """
    rows = [(row.name, row.difference) for row in results.rows if row.difference is not None]
    if not rows:
        raise ConfigurationError(f"no variant has a seed in common with the baseline '{results.baseline}' yet")
    figure, axes = _blank((8.0, 1.1 + 0.42 * len(rows)))
    axes.axvline(0, color=_INK, linewidth=1)
    for place, (name, difference) in enumerate(rows):
        colour = _CLEAR if difference.leaves_out_zero else _UNCLEAR
        seeds = list(results.paired(name, results.baseline).values())
        axes.plot(seeds, [place] * len(seeds), "o", color=colour, alpha=0.35, markersize=4, zorder=2)
        if difference.is_known:
            axes.plot([difference.low, difference.high], [place, place], color=colour, linewidth=2, zorder=3)
        axes.plot(difference.mean, place, "D", color=colour, markersize=6, zorder=4)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(
        f"{results.metric} minus that of '{results.baseline}', paired by seed", color=_INK, fontsize=10
    )
    return _finished(figure, path)


def draw_curves(
    results: Results, variants: Sequence[str] | None = None, path: str | Path | None = None
) -> "Figure":
    """Draw the metric over the steps: for each variant the mean over seeds, in a band of its 95 % interval.

    More than seven are named beside the curves, in a picture as high as their names need.

    Args:
        results: trials that were evaluated on the way.
        variants: which; by default all that have a trial.
        path: a file to write, its format by its suffix.
    """
    names = [name for name in (variants or results.trials) if results.trials[name]]
    beside = len(names) > len(_COLOURS)
    figure, axes = _blank((10.0, max(4.4, 0.3 + 0.18 * len(names))) if beside else (8.0, 4.4))
    for place, name in enumerate(names):
        steps, values = _common_curve(results, name)
        found = [mean_interval(column.tolist()) for column in values.T]
        colour, dash = _COLOURS[place % len(_COLOURS)], _DASHES[place // len(_COLOURS) % len(_DASHES)]
        axes.plot(steps, [one.mean for one in found], linestyle=dash, color=colour, linewidth=1.8, label=name)
        if all(one.is_known for one in found):
            low, high = [one.low for one in found], [one.high for one in found]
            axes.fill_between(steps, low, high, color=colour, alpha=0.05 if beside else 0.13, linewidth=0)
    axes.set_xlabel("optimizer steps", color=_INK, fontsize=10)
    axes.set_ylabel(results.metric, color=_INK, fontsize=10)
    axes.set_xlim(left=0)
    if beside:
        figure.legend(fontsize=8, frameon=False, loc="outside right upper", handlelength=3.5)
    else:
        axes.legend(fontsize=8, frameon=False, loc="lower right")
    return _finished(figure, path)


def _common_curve(
    results: Results, name: str
) -> tuple[list[int], "np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    """The steps at which every seed was evaluated to a number, and the metric [seeds, steps]."""
    curves = [
        {steps: value for steps, metrics in trial.curve if _is_finite(value := metrics.get(results.metric))}
        for trial in results.trials[name].values()
    ]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    return steps, np.array([[curve[step] for step in steps] for curve in curves], dtype=np.float64)


def _blank(size: tuple[float, float]) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # late: pyplot's parts take a second to import

    figure = Figure(figsize=size, dpi=160, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=9, labelcolor=_INK, color=_FAINT)
    axes.grid(axis="x", color=_FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _finished(figure: "Figure", path: str | Path | None) -> "Figure":
    if path is not None:
        figure.savefig(path)
    return figure


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
