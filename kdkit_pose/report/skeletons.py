"""Drawing a person's keypoints and limbs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from kdkit_pose.skeleton import Skeleton

LEFT, RIGHT, MIDDLE = "#35c6ff", "#ff9d2e", "#f4f4f4"
"""The colours of the person's own left and right side, and of what is neither."""

_FAINT = 0.3


def draw_skeleton(
    axes: Axes,
    skeleton: Skeleton,
    points: NDArray[np.float64],
    drawn: NDArray[np.bool_],
    *,
    hollow: NDArray[np.bool_] | None = None,
    faint: NDArray[np.bool_] | None = None,
) -> None:
    """Draw one person.

    Args:
        axes: Where to; they count in the points' pixels.
        skeleton: The keypoints' names and limbs.
        points: [K, 2].
        drawn: [K], which keypoints are drawn at all; a limb is where both of its ends are.
        hollow: [K], which keypoints are drawn as rings.
        faint: [K], which are drawn faintly; a limb is if either of its ends is.
    """
    none = np.zeros(len(points), dtype=bool)
    hollow = none if hollow is None else hollow
    faint = none if faint is None else faint
    limbs = [(a, b) for a, b in skeleton.limbs if drawn[a] and drawn[b]]
    strength = [_FAINT if faint[a] or faint[b] else 1.0 for a, b in limbs]
    colours = [to_rgba(_colour(skeleton, limb), alpha) for limb, alpha in zip(limbs, strength, strict=True)]
    segments = [points[[a, b]] for a, b in limbs]
    # A dark edge makes any colour stand out from any background.
    edges = [to_rgba("black", 0.55 * alpha) for alpha in strength]
    axes.add_collection(LineCollection(segments, colors=edges, linewidths=3.4, capstyle="round"), autolim=False)
    axes.add_collection(LineCollection(segments, colors=colours, linewidths=2.0, capstyle="round"), autolim=False)
    for index in np.flatnonzero(drawn):
        alpha = _FAINT if faint[index] else 1.0
        colour = to_rgba(_colour(skeleton, (int(index),)), alpha)
        dark = to_rgba("black", 0.8 * alpha)
        x, y = points[index]
        if hollow[index]:
            # Dark inside, for limbs end there.
            axes.scatter(x, y, s=24, facecolors=[dark], edgecolors=[dark], linewidths=2.6, zorder=3)
            axes.scatter(x, y, s=24, facecolors="none", edgecolors=[colour], linewidths=1.4, zorder=3)
        else:
            axes.scatter(x, y, s=20, facecolors=[colour], edgecolors=[dark], linewidths=0.8, zorder=3)


def _colour(skeleton: Skeleton, indices: Sequence[int]) -> str:
    names = [skeleton.keypoints[index] for index in indices]
    left, right = any("left" in name for name in names), any("right" in name for name in names)
    if left == right:
        return MIDDLE
    return LEFT if left else RIGHT
