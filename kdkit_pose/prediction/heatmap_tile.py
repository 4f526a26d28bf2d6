"""A heatmap over what the network saw, and tiles side by side."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from kdkit_pose.codecs import Codec
from kdkit_pose.data.warping import within_opencv
from kdkit_pose.prediction.checks import Picture

GROUND = 42
"""The grey of a sheet, dark, on which white and coloured frames are seen."""


def heatmap_tile(
    picture: Picture, matrix: NDArray[np.float64], heatmap: NDArray[np.float32], codec: Codec, zoom: float
) -> Picture:
    """The crop in grey, and over it a heatmap from purple to yellow: yellow is 1, nothing is 0.

    Args:
        picture: RGB uint8 [H, W, 3].
        matrix: [2, 3], from the picture to the network's input.
        heatmap: [h, w].
        codec: Which the heatmap is in.
        zoom: Pixels of the tile in one of the network's input.
    """
    size = (round(codec.input_size[0] * zoom), round(codec.input_size[1] * zoom))
    crop = cv2.warpAffine(*within_opencv(picture, zoom * matrix, size), size, flags=cv2.INTER_LINEAR)
    grey = 0.6 * crop.mean(axis=2, keepdims=True)
    values = np.clip(np.nan_to_num(heatmap), 0.0, 1.0)
    # A cell's centre lies at its size times its index.
    spread = np.array([[codec.cell_size[0] * zoom, 0, 0], [0, codec.cell_size[1] * zoom, 0]])
    values = np.asarray(cv2.warpAffine(values, spread, size, flags=cv2.INTER_LINEAR), dtype=np.float32)
    # From purple on, since the colours' black would be a shadow; steep at first, to show a peak's faint foot.
    colours = 255 * colormaps["inferno"](0.3 + 0.65 * values)[..., :3]
    opacity = 0.85 * np.minimum(1.0, 3 * values)[..., None]
    mixed = grey * (1 - opacity) + colours * opacity
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def arrange(tiles: Sequence[Picture], columns: int, gap: int) -> Picture:
    """Tiles of one size in rows of ``columns``, ``gap`` pixels apart."""
    height, width, _ = tiles[0].shape
    columns = min(len(tiles), columns)
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), GROUND, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
