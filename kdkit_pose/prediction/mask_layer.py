"""A person's mask over a picture."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.data.rle import decompress, paint

# A white veil looks like mist.
_FOR_WHITE = "#5b6cff"


def draw_mask(axes: Axes, mask: EncodedMask, colour: str, *, zorder: float) -> None:
    """Lay ``colour`` thinly over the mask, with an outline of it; ``axes`` count in the picture's pixels."""
    colour = _FOR_WHITE if to_rgba(colour) == (1, 1, 1, 1) else colour
    left, top, width, height = mask.window
    inside = paint(decompress(mask.counts), width, height) / 255
    # A margin of nothing, so that the outline closes where the mask fills its window.
    inside = np.pad(inside, 1)
    limits = axes.get_xlim(), axes.get_ylim()
    layer = np.broadcast_to(to_rgba(colour), (*inside.shape, 4)).copy()
    layer[..., 3] = 0.28 * inside
    extent = (left - 1.5, left + width + 0.5, top + height + 0.5, top - 1.5)
    axes.imshow(layer, extent=extent, interpolation="nearest", aspect="auto", zorder=zorder)
    x, y = np.arange(left - 1, left + width + 1), np.arange(top - 1, top + height + 1)
    axes.contour(x, y, inside, levels=[0.5], colors=["black"], linewidths=[2.0], alpha=0.35, zorder=zorder)
    axes.contour(x, y, inside, levels=[0.5], colors=[colour], linewidths=[1.0], alpha=0.9, zorder=zorder)
    axes.set(xlim=limits[0], ylim=limits[1])
