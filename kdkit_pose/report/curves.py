"""Curves of the runs: losses and held-out AP as training went on."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from kdkit_pose.report.canvas import INK, rasterize
from kdkit_pose.report.figure import Figure
from kdkit_pose.report.run import ReportedRun
from kdkit_pose.report.timeline import StageSpan, epochs_done, series, stage_spans

# Okabe and Ito's colours, which colour-blind readers can tell apart; the yellow is too pale for a line.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_loss_curves(runs: Sequence[ReportedRun], *, name: str = "loss_curves") -> Figure:
    """The training loss of each run by epoch, on a logarithmic scale where it can be."""
    drawing, axes = _blank("epoch", "training loss")
    for index, run in enumerate(runs):
        epochs, losses = series(run.lines, "loss/total")
        known = [(epoch, loss) for epoch, loss in zip(epochs, losses, strict=True) if loss > 0]
        if known:
            axes.set_yscale("log")
            _plot(axes, index, run.name, [epoch for epoch, _ in known], [loss for _, loss in known])
    axes.set_xlim(left=0)
    staged = _mark_stages(axes, runs, as_share=False)
    caption = (
        "The mean training loss of each epoch, on a logarithmic scale. Runs that learn from different targets "
        "minimise different losses: compare a curve with its own past, not with the others."
    )
    return _finished(drawing, axes, name, f"{caption}{staged}")


def draw_learning_curve(runs: Sequence[ReportedRun], *, name: str = "learning_curve") -> Figure:
    """The held-out AP of each run by the share of the run that was done."""
    drawing, axes = _blank("share of the run", "AP on held-out people")
    for index, run in enumerate(runs):
        epochs, values = series(run.lines, "val/AP")
        if values:
            total = epochs_done(run.lines)[-1]
            label = f"{run.name} ({_count_epochs(total)})"
            _plot(axes, index, label, [epoch / total for epoch in epochs], values)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    staged = _mark_stages(axes, runs, as_share=True)
    caption = "AP on the held-out people, measured during training, by the share of the run that was done."
    return _finished(drawing, axes, name, f"{caption}{staged}")


def _blank(x_label: str, y_label: str) -> tuple[Drawing, Axes]:
    drawing = Drawing(figsize=(8, 4.2), dpi=160, facecolor="white", layout="constrained")
    axes = drawing.add_subplot()
    axes.set_xlabel(x_label, fontsize=10, color=INK)
    axes.set_ylabel(y_label, fontsize=10, color=INK)
    axes.tick_params(which="both", labelsize=9, color="#9aa0a8", labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#9aa0a8")
    axes.grid(which="major", color="#dfe2e6", linewidth=0.7)
    axes.set_axisbelow(True)
    return drawing, axes


def _plot(axes: Axes, index: int, label: str, x: list[float], y: list[float]) -> None:
    # Points are shown where they can be told apart; a run of one line is nothing but a point.
    marker = "o" if len(x) <= 60 else ""
    colour = _COLOURS[index % len(_COLOURS)]
    axes.plot(x, y, label=label, color=colour, linewidth=1.7, marker=marker, markersize=3)


def _mark_stages(axes: Axes, runs: Sequence[ReportedRun], *, as_share: bool) -> str:
    """Shade the stages of the first run that has several, and return the caption's sentence on it."""
    for run in runs:
        spans = stage_spans(run.lines)
        if len(spans) < 2:
            continue
        unit = spans[-1].end if as_share else 1.0
        rows = _label_rows(spans)
        for index, span in enumerate(spans):
            begin, end = span.begin / unit, span.end / unit
            axes.axvspan(begin, end, color="#8a7fd0", alpha=(0.07, 0.17)[index % 2], linewidth=0, zorder=0)
            axes.text(
                (begin + end) / 2,
                1.01 + 0.055 * rows[index],
                span.name,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=9,
                color="#5a4fa3",
                parse_math=False,
            )
        return f" Shaded: the stages of the {run.name}."
    return ""


def _label_rows(spans: Sequence[StageSpan]) -> list[int]:
    """In which row above the axes each stage's name has room: the lowest whose last name ends before it."""
    rows: list[int] = []
    ends: list[float] = []
    for span in spans:
        # The axes are about 110 characters of this size wide, and a gap is one.
        middle, half = (span.begin + span.end) / 2 / spans[-1].end, (len(span.name) + 1) / 2 / 110
        row = next((row for row, end in enumerate(ends) if end <= middle - half), len(ends))
        ends[row : row + 1] = [middle + half]
        rows.append(row)
    return rows


def _finished(drawing: Drawing, axes: Axes, name: str, caption: str) -> Figure:
    lines = axes.get_lines()
    if lines:
        # A row has room for about 75 characters.
        longest = max(len(str(line.get_label())) for line in lines)
        columns = max(1, min(4, len(lines), 75 // longest))
        legend = drawing.legend(loc="outside upper center", ncols=columns, frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)
            text.set_color(INK)
    else:
        axes.text(0.5, 0.5, "nothing was recorded", transform=axes.transAxes, ha="center", color=INK)
    return Figure(name, caption, rasterize(drawing))


def _count_epochs(epochs: float) -> str:
    rounded = f"{epochs:.3g}" if epochs < 100 else f"{epochs:.0f}"
    return f"{rounded} epoch{'' if rounded == '1' else 's'}"
