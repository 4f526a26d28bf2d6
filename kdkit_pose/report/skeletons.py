"""Drawing a person's keypoints and limbs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from kdkit_pose.skeleton import Skeleton
from kdkit_pose.skeleton_names import side

LEFT, RIGHT, MIDDLE = "#35c6ff", "#ff9d2e", "#f4f4f4"
"""The colours of the person's own left and right side, and of what is neither."""

FAINT = 0.3
"""The opacity of what is drawn faintly."""


def draw_skeleton(
    axes: Axes,
    skeleton: Skeleton,
    points: NDArray[np.float64],
    drawn: NDArray[np.bool_],
    *,
    hollow: NDArray[np.bool_] | None = None,
    strength: NDArray[np.float64] | None = None,
    width: float = 2.0,
    middle: str = MIDDLE,
    zorder: float = 2.0,
) -> None:
    """Draw one person.

    Args:
        axes: Where to; they count in the points' pixels.
        skeleton: The keypoints' names and limbs.
        points: [K, 2].
        drawn: [K], which keypoints are drawn at all; a limb is where both of its ends are.
        hollow: [K], which keypoints are drawn as rings.
        strength: [K] in 0..1, how opaque each keypoint is; a limb is as its weaker end. 1 by default.
        width: Of a limb, in points of print; all else goes with it.
        middle: The colour of what is neither left nor right.
        zorder: Persons of a higher one lie over those of a lower.
    """
    hollow = np.zeros(len(points), dtype=bool) if hollow is None else hollow
    strength = np.ones(len(points)) if strength is None else strength
    colours = (LEFT, RIGHT, middle)
    limbs = [(a, b) for a, b in skeleton.limbs if drawn[a] and drawn[b]]
    weaker = [min(strength[a], strength[b]) for a, b in limbs]
    inner = [to_rgba(_colour(skeleton, limb, colours), alpha) for limb, alpha in zip(limbs, weaker, strict=True)]
    segments = [points[[a, b]] for a, b in limbs]
    # A dark edge makes any colour stand out from any background.
    edges = [to_rgba("black", 0.55 * alpha) for alpha in weaker]
    for rgba, line in ((edges, 1.7 * width), (inner, width)):
        lines = LineCollection(segments, colors=rgba, linewidths=line, capstyle="round", zorder=zorder)
        axes.add_collection(lines, autolim=False)
    for kind, chosen in ((False, drawn & ~hollow), (True, drawn & hollow)):
        _draw_marks(axes, skeleton, points, chosen, strength, width, colours, zorder + 0.1, hollow=kind)


def _draw_marks(
    axes: Axes,
    skeleton: Skeleton,
    points: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    strength: NDArray[np.float64],
    width: float,
    colours: tuple[str, str, str],
    zorder: float,
    *,
    hollow: bool,
) -> None:
    """Draw the chosen keypoints, as dots or as rings."""
    indices = [int(index) for index in np.flatnonzero(chosen)]
    own = [to_rgba(_colour(skeleton, (index,), colours), strength[index]) for index in indices]
    dark = [to_rgba("black", 0.8 * strength[index]) for index in indices]
    x, y = points[indices].T
    if not hollow:
        axes.scatter(x, y, s=5 * width**2, facecolors=own, edgecolors=dark, linewidths=0.4 * width, zorder=zorder)
        return
    size = 6 * width**2
    # Dark inside, for limbs end there.
    axes.scatter(x, y, s=size, facecolors=dark, edgecolors=dark, linewidths=1.3 * width, zorder=zorder)
    axes.scatter(x, y, s=size, facecolors="none", edgecolors=own, linewidths=0.7 * width, zorder=zorder)


def _colour(skeleton: Skeleton, indices: Sequence[int], colours: tuple[str, str, str]) -> str:
    told = [side(skeleton.keypoints[index]) for index in indices]
    sides = {sided[0] for sided in told if sided is not None}
    if len(sides) != 1:
        return colours[2]
    return colours[0] if sides == {"left"} else colours[1]
