"""Where the map of a view lies in the map of the whole person."""

import numpy as np

from kdkit_pose.data.people import Array


def cells_to_canonical(whole: Array, view: Array, cell_size: tuple[float, float]) -> Array:
    """The map [B, 2, 3] from cells of the views' heatmaps to cells of the whole persons' heatmaps.

    Args:
        whole: [B, 2, 3], from the picture's pixels to those of the input that shows the whole person.
        view: [B, 2, 3], from the picture's pixels to those of the view's input; mirrored where the view is.
        cell_size: Width and height of a heatmap's cell, in pixels of the input.

    >>> whole = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> zoomed = np.array([[[2.0, 0.0, -8.0], [0.0, 2.0, 0.0]]])
    >>> cells_to_canonical(whole, zoomed, (4.0, 4.0)).tolist()
    [[[0.5, 0.0, 1.0], [0.0, 0.5, 0.0]]]
    """
    cell = np.array(cell_size)
    linear = whole[:, :, :2] @ np.linalg.inv(view[:, :, :2])
    offset = whole[:, :, 2] - np.einsum("bij,bj->bi", linear, view[:, :, 2])
    # In cells: scaled up to pixels, mapped, and scaled down again.
    return np.concatenate([linear * cell / cell[:, None], (offset / cell)[:, :, None]], axis=2)
