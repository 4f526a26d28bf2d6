"""A profile as a picture: a bar a variant, of time by part."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.profiling.parts import PARTS
from benchmarks.profiling.records import Profile, VariantProfile

# Okabe and Ito's colours, which colour-blind readers can tell apart; neighbours differ in lightness, too.
COLOURS = dict(zip(PARTS, ("#0072b2", "#56b4e9", "#f0e442", "#d55e00", "#009e73", "#999999"), strict=True))
DARK = {"teacher", "backward", "optimizer"}
INK, GRID = "#22262c", "#dfe2e6"
IDLE = "no kernel runs"
IDLE_STYLE = {"facecolor": "white", "hatch": "////", "edgecolor": "#999999"}
NARROWEST = 0.045
"""The share of the axis from which a piece is labelled."""


def draw(profile: Profile, path: Path) -> None:
    """Write the picture as PNG."""
    height = 0.9 + 0.46 * len(profile.variants)
    figure = Figure(figsize=(8, height), dpi=160, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    longest = max(one.seconds for one in profile.variants)
    scale, unit = (1.0, "s") if longest >= 1 else (1e3, "ms")
    for place, one in enumerate(profile.variants):
        _bar(axes, place, one, scale, longest, idle=profile.setting.gpu)
        axes.text(
            one.seconds * scale, place, f" {one.seconds * scale:.3g} {unit}", va="center", fontsize=9, color=INK
        )
    axes.set_yticks(range(len(profile.variants)), [one.name for one in profile.variants], color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, longest * scale * 1.12)
    axes.set_xlabel(f"{'seconds' if unit == 's' else 'milliseconds'} a step", fontsize=9, color=INK)
    axes.tick_params(labelsize=9, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    handles = [Patch(color=colour, label=part) for part, colour in COLOURS.items()]
    handles += [Patch(**IDLE_STYLE, label=IDLE)] if profile.setting.gpu else []  # type: ignore[arg-type]
    style = {"frameon": False, "fontsize": 9, "handlelength": 1.1, "columnspacing": 1.3}
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), **style)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the program's version, the same figures give the same file.
    figure.savefig(path, metadata={"Software": None})


def _bar(axes: Axes, place: int, one: VariantProfile, scale: float, longest: float, *, idle: bool) -> None:
    left = 0.0
    pieces = [(part, seconds, {"facecolor": COLOURS[part]}) for part, seconds in one.part_seconds.items()]
    pieces += [(IDLE, one.idle_seconds, IDLE_STYLE)] if idle else []
    for part, seconds, style in pieces:
        width = seconds * scale
        axes.barh(place, width, left=left, height=0.68, **style)
        if seconds > NARROWEST * longest:
            ink = "white" if part in DARK else INK
            share = f"{seconds / one.seconds:.0%}"
            axes.text(left + width / 2, place, share, ha="center", va="center", fontsize=8.5, color=ink)
        left += width
