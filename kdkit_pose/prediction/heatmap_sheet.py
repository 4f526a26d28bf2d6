"""What the network saw of each person, under the heatmaps that it gave."""

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.prediction.overlay import person_colours
from kdkit_pose.prediction.poses import Poses

_TILE_HEIGHT = 320  # pixels, about
_COLUMNS = 6
_GAP = 8
_FRAME = 4
_GROUND = 42  # a dark grey, on which white and coloured frames are seen


def draw_heatmaps(picture: Picture, poses: Poses, codec: Codec, *, most: int = 24) -> Picture:
    """A sheet with a tile for each person, the surest first, framed in the colour that the person has in
    :func:`kdkit_pose.prediction.draw_poses`.

    A tile is the crop in grey, and over it, from purple to yellow, the greatest of the keypoints' heatmaps: yellow
    is 1, where nothing is laid over it is 0.

    Args:
        picture: RGB uint8 [H, W, 3]; left as it is.
        poses: Of the picture, with their heatmaps.
        codec: Which the heatmaps are in.
        most: How many persons to draw.

    Returns:
        RGB uint8, as large as it has to be; a single grey tile where there is nobody.

    Raises:
        ConfigurationError: The poses were predicted without ``heatmaps=True``.
    """
    if poses.heatmaps is None:
        raise ConfigurationError("these poses have no heatmaps: predict them with heatmaps=True")
    width, height = codec.input_size
    zoom = max(1.0, _TILE_HEIGHT / height)
    rows = np.argsort(-poses.scores, kind="stable")[:most]
    colours = person_colours(poses)
    tiles = []
    for row in rows:
        matrix = codec.affine(poses.centers[row], poses.scales[row])
        tile = _tile(picture, matrix, poses.heatmaps[row], codec, zoom)
        tiles.append(_framed(tile, colours[row]))
    return _arranged(tiles or [np.full((round(height * zoom), round(width * zoom), 3), _GROUND, dtype=np.uint8)])


def _tile(
    picture: Picture, matrix: NDArray[np.float64], heatmap: NDArray[np.float32], codec: Codec, zoom: float
) -> Picture:
    size = (round(codec.input_size[0] * zoom), round(codec.input_size[1] * zoom))
    crop = cv2.warpAffine(picture, zoom * matrix, size, flags=cv2.INTER_LINEAR)
    grey = 0.6 * crop.mean(axis=2, keepdims=True)
    values = np.clip(np.nan_to_num(heatmap.max(axis=0)), 0.0, 1.0)
    # A cell's centre lies at its size times its index.
    spread = np.array([[codec.cell_size[0] * zoom, 0, 0], [0, codec.cell_size[1] * zoom, 0]])
    values = cv2.warpAffine(values, spread, size, flags=cv2.INTER_LINEAR)
    # From purple on, since the colours' black would be a shadow; steep at first, to show a peak's faint foot.
    colours = 255 * colormaps["inferno"](0.3 + 0.65 * values)[..., :3]
    opacity = 0.85 * np.minimum(1.0, 3 * values)[..., None]
    mixed = grey * (1 - opacity) + colours * opacity
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def _framed(tile: Picture, colour: str) -> Picture:
    edge = np.array([round(255 * channel) for channel in to_rgb(colour)], dtype=np.uint8)
    framed = np.empty((tile.shape[0] + 2 * _FRAME, tile.shape[1] + 2 * _FRAME, 3), dtype=np.uint8)
    framed[:] = edge
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = tile
    return framed


def _arranged(tiles: list[Picture]) -> Picture:
    height, width, _ = tiles[0].shape
    columns = min(len(tiles), _COLUMNS)
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), _GROUND, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top, left = (place // columns) * (height + _GAP), (place % columns) * (width + _GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet
