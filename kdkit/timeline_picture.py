"""The weights over a run, as a picture."""

import textwrap
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdkit.curriculum import Curriculum
from kdkit.errors import ConfigurationError
from kdkit.timeline import StageSpan, Timeline, WeightLine, weights_over_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart; the ground truth is grey.
TRUTH = "#4d4d4d"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
BANDS = ("#eef1f5", "#f8f9fb")
TEXT, QUIET, FAINT, HATCH = "#333333", "#6b7480", "#c3c9d1", "#dfe4ea"
FULL = 0.66
"""How much of a row's height its greatest weight takes."""
LARGEST_RATIO = 20.0
"""Rows share a scale as long as their greatest weights are not further apart than this."""


def draw_timeline(
    curriculum: Curriculum,
    path: str | Path | None = None,
    ax: "Axes | None" = None,
    steps_per_epoch: int | None = None,
) -> "Figure":
    """Draw the weights over a run: a row an objective, a band a stage, a colour a teacher.

    Numbers are written where a weight begins or has changed. A weight that alternates too often to be shown is a
    comb between its bounds. A stage whose length is not known is hatched, and its width says nothing. Where the
    run has begun, a line marks where it stands. The curriculum's cursor is not moved.

    Args:
        curriculum: the curriculum.
        path: a file to write, its format by its suffix: ``.png``, ``.svg``, ``.pdf``.
        ax: axes to draw on, by default those of a new figure; needs nothing of pyplot.
        steps_per_epoch: brings stages in steps and stages in epochs on one axis.

    Returns:
        The figure drawn on.

    Raises:
        ConfigurationError: if nothing can write a file with that suffix.
    """
    from matplotlib.figure import Figure

    timeline = weights_over_run(curriculum, steps_per_epoch=steps_per_epoch)
    if ax is None:
        names = timeline.objectives
        ax = Figure(figsize=(10, 1.5 + 0.55 * len(names)), layout="constrained", dpi=150).add_subplot()
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes without a figure do not exist
    _draw_stages(ax, timeline)
    _draw_rows(ax, timeline)
    _draw_axis(ax, timeline)
    if path is not None:
        _save(figure, Path(path))
    return figure


def _draw_stages(ax: "Axes", timeline: Timeline) -> None:
    letters = [_letters(ax, timeline, stage) for stage in timeline.stages]
    ends = [_wrap(_until(stage), letters[place] * 6 // 5, 3) for place, stage in enumerate(timeline.stages)]
    lift = 4 + 10 * max(end.count("\n") + 1 if end else 0 for end in ends)
    above: dict[str, Any] = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "ha": "center"}
    for place, stage in enumerate(timeline.stages):
        ax.axvspan(stage.start, stage.end, color=BANDS[place % 2], zorder=0, linewidth=0)
        if stage.nominal:
            hatch = {"facecolor": "none", "edgecolor": HATCH, "hatch": "//", "linewidth": 0}
            ax.axvspan(stage.start, stage.end, **hatch, zorder=0.5)  # type: ignore[arg-type]
        if place:
            ax.axvline(stage.start, color="white", linewidth=2, zorder=0.6)
        middle, name = ((stage.start + stage.end) / 2, 1.0), _wrap(stage.name, letters[place], 1)
        ax.annotate(name, middle, (0, lift), fontsize=9.5, color=TEXT, va="bottom", weight="bold", **above)
        ax.annotate(ends[place], middle, (0, lift - 1), fontsize=7, color=QUIET, va="top", **above)
    ax.set_xlim(0, timeline.stages[-1].end)
    ax.set_ylim(-len(timeline.objectives) + 0.92, 1.0)


def _until(stage: StageSpan) -> str:
    return f"until {stage.until}" if stage.may_end_early or stage.nominal else ""


def _letters(ax: "Axes", timeline: Timeline, stage: StageSpan) -> int:
    """Return about how many letters a stage is wide, before names at the axes' left have taken their part."""
    figure = ax.get_figure(root=True)
    inches = ax.get_position().width * figure.get_figwidth() if figure is not None else 1.0
    return max(int(inches * (stage.end - stage.start) / timeline.stages[-1].end / 0.075), 3)


def _draw_rows(ax: "Axes", timeline: Timeline) -> None:
    colours = _colours(timeline)
    largest = _largest(timeline)
    shared = max(largest.values()) <= LARGEST_RATIO * min(largest.values())
    for row, name in enumerate(timeline.objectives):
        scale = FULL / (max(largest.values()) if shared else largest[name])
        ax.axhline(-row, color=FAINT, linewidth=0.6, zorder=1)
        last: float | None = None
        for stage in timeline.stages:
            if line := stage.lines.get(name):
                _draw_line(ax, line, -row, scale, colours[line.source])
                letters = _letters(ax, timeline, stage) * 6 // 5
                last = _write_numbers(ax, line, (stage.start, stage.end), -row, scale, last, letters)
    ax.tick_params(axis="both", length=0, colors=TEXT)
    ax.set_yticks([-row for row in range(len(timeline.objectives))], list(timeline.objectives), va="bottom")
    for label, name in zip(ax.get_yticklabels(), timeline.objectives, strict=True):
        label.set(color=colours[_source(timeline, name)], fontsize=9)
    if not shared:
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "top"}
        ax.annotate("each row has its own scale", (1, 0), (0, -18), fontsize=7, color=QUIET, **place)  # type: ignore[arg-type]


def _draw_line(ax: "Axes", line: WeightLine, base: float, scale: float, colour: str) -> None:
    lowest, highest = ([base + scale * value for value in bound] for bound in (line.lowest, line.highest))
    if line.lowest == line.highest:
        ax.fill_between(line.positions, base, highest, color=colour, alpha=0.16, linewidth=0, zorder=2)
        ax.plot(line.positions, highest, color=colour, linewidth=2, solid_capstyle="butt", zorder=3)
    else:
        ax.fill_between(
            line.positions,
            lowest,
            highest,
            facecolor="none",
            edgecolor=colour,
            hatch="||||",
            linewidth=0.8,
            zorder=2,
        )


def _write_numbers(
    ax: "Axes",
    line: WeightLine,
    ends: tuple[float, float],
    base: float,
    scale: float,
    last: float | None,
    letters: int,
) -> float | None:
    """Write where a line begins and ends, unless that is the last number written; return what is."""
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": TEXT, "va": "bottom"}
    if line.alternates:
        top = base + scale * max(line.highest)
        ax.annotate(_wrap(line.words, letters, 1), (ends[0], top), (3, 1.5), ha="left", **style)
        return None
    first, final = line.weights[0], line.weights[-1]
    if first != last:
        ax.annotate(f"{first:.3g}", (ends[0], base + scale * first), (3, 1.5), ha="left", **style)
    if final != first:
        ax.annotate(f"{final:.3g}", (ends[1], base + scale * final), (-3, 1.5), ha="right", **style)
    return final


def _draw_axis(ax: "Axes", timeline: Timeline) -> None:
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel(timeline.unit, fontsize=9, color=TEXT)
    ticks = _ticks(timeline)
    ax.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
    if timeline.now > 0:
        ax.axvline(timeline.now, color=TEXT, linewidth=1, linestyle=(0, (4, 3)), zorder=5)
        at, place = (timeline.now, 1.0), {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
        ax.annotate("now", at, (3, -2), fontsize=7, va="top", color=QUIET, **place)  # type: ignore[arg-type]


def _ticks(timeline: Timeline) -> list[float]:
    """Return where numbers are written: at the stages' ends, and at round numbers that are not too near to one."""
    from matplotlib.ticker import MaxNLocator

    known = list(takewhile(lambda stage: not stage.nominal, timeline.stages))
    # Behind a stage of unknown length no position is known.
    ends, whole = [0.0, *(stage.end for stage in known)], timeline.stages[-1].end
    rounds = [] if len(known) < len(timeline.stages) else MaxNLocator(6, integer=True).tick_values(0, whole)
    ticks: list[float] = []
    for tick in (*ends, *(float(tick) for tick in rounds if 0 < tick < whole)):
        if all(abs(tick - other) >= whole * 0.05 for other in ticks):
            ticks.append(tick)
    return ticks


def _colours(timeline: Timeline) -> dict[str, str]:
    """Return a colour for every source, the same over all stages."""
    sources = dict.fromkeys(line.source for stage in timeline.stages for line in stage.lines.values())
    others = [source for source in sources if source != "supervise"]
    return {"supervise": TRUTH} | {source: COLOURS[i % len(COLOURS)] for i, source in enumerate(others)}


def _source(timeline: Timeline, name: str) -> str:
    return next(stage.lines[name].source for stage in timeline.stages if name in stage.lines)


def _largest(timeline: Timeline) -> dict[str, float]:
    return {
        name: max(
            abs(value)
            for stage in timeline.stages
            if name in stage.lines
            for bound in (stage.lines[name].lowest, stage.lines[name].highest)
            for value in bound
        )
        for name in timeline.objectives
    }


def _wrap(text: str, letters: int, lines: int) -> str:
    return "\n".join(textwrap.wrap(text, max(letters, 3), max_lines=lines, placeholder="…"))


def _save(figure: "Figure", path: Path) -> None:
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in known:
        raise ConfigurationError(
            f"draw_timeline: {path} must end in one of {', '.join(f'.{one}' for one in known)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
