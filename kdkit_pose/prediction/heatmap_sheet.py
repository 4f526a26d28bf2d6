"""What the network saw of each person, under the heatmaps that it gave."""

import numpy as np
from matplotlib.colors import to_rgb

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.prediction.heatmap_tile import GROUND, arrange, heatmap_tile
from kdkit_pose.prediction.overlay import person_colours
from kdkit_pose.prediction.poses import Poses

_TILE_HEIGHT = 320  # pixels, about
_COLUMNS = 6
_GAP = 8
_FRAME = 4


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
        tile = heatmap_tile(picture, matrix, poses.heatmaps[row].max(axis=0), codec, zoom)
        tiles.append(_framed(tile, colours[row]))
    nobody = np.full((round(height * zoom), round(width * zoom), 3), GROUND, dtype=np.uint8)
    return arrange(tiles or [nobody], _COLUMNS, _GAP)


def _framed(tile: Picture, colour: str) -> Picture:
    edge = np.array([round(255 * channel) for channel in to_rgb(colour)], dtype=np.uint8)
    framed = np.empty((tile.shape[0] + 2 * _FRAME, tile.shape[1] + 2 * _FRAME, 3), dtype=np.uint8)
    framed[:] = edge
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = tile
    return framed
