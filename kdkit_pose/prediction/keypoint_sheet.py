"""One person's heatmaps, a picture for each keypoint."""

import numpy as np

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.geometry import apply_affine
from kdkit_pose.prediction.canvas import POINT, PictureCanvas
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.prediction.heatmap_tile import GROUND, arrange, heatmap_tile
from kdkit_pose.prediction.overlay import person_colours
from kdkit_pose.prediction.poses import Array, Poses
from kdkit_pose.report.skeletons import LEFT, MIDDLE, RIGHT
from kdkit_pose.skeleton import Skeleton
from kdkit_pose.skeleton_names import side

_TILE_HEIGHT = 256  # pixels, about
_NARROWEST = 150
_GAP = 10
_HEADER = 24
_COLUMNS = 6  # with the tile of all, COCO's keypoints fill three rows
_FONT = 14


def draw_keypoint_heatmaps(picture: Picture, poses: Poses, row: int, codec: Codec, skeleton: Skeleton) -> Picture:
    """A sheet with a tile for each keypoint of one person, in the skeleton's order, its name and score above it.

    The first tile has the greatest of all, with the pose's score in the colour that the person has in
    :func:`kdkit_pose.prediction.draw_poses`. A tile is the crop in grey with the heatmap over it, from purple to
    yellow: yellow is 1, where nothing is laid over it is 0. A cross is where the keypoint was found; there is none
    where its score is 0. Names of the person's own left side are blue, of the right orange.

    Args:
        picture: RGB uint8 [H, W, 3]; left as it is.
        poses: Of the picture, with their heatmaps.
        row: Which of them.
        codec: Which the heatmaps are in.
        skeleton: Of the poses.

    Returns:
        RGB uint8, as large as it has to be.

    Raises:
        ConfigurationError: The poses were predicted without ``heatmaps=True``, or are none of the skeleton.
    """
    if poses.heatmaps is None:
        raise ConfigurationError("these poses have no heatmaps: predict them with heatmaps=True")
    if poses.keypoints.shape[1] != skeleton.num_keypoints:
        raise ConfigurationError(
            f"poses of {poses.keypoints.shape[1]} keypoints are none of skeleton {skeleton.name!r}, which has "
            f"{skeleton.num_keypoints}: give theirs"
        )
    zoom = max(_TILE_HEIGHT / codec.input_size[1], _NARROWEST / codec.input_size[0])
    matrix = codec.affine(poses.centers[row], poses.scales[row])
    heatmaps = (poses.heatmaps[row].max(axis=0), *poses.heatmaps[row])
    tiles = [heatmap_tile(picture, matrix, heatmap, codec, zoom) for heatmap in heatmaps]
    headed = [np.pad(tile, ((_HEADER, 0), (0, 0), (0, 0)), constant_values=GROUND) for tile in tiles]
    sheet = np.pad(arrange(headed, _COLUMNS, _GAP), ((0, _GAP), (_GAP, _GAP), (0, 0)), constant_values=GROUND)
    canvas = PictureCanvas.of(sheet, enlarged=1)
    height, width, _ = headed[0].shape
    found = zoom * apply_affine(matrix, poses.keypoints[row, :, :2])
    for number, (text, colour) in enumerate(_headers(poses, row, skeleton)):
        corner = _GAP + number % _COLUMNS * (width + _GAP), number // _COLUMNS * (height + _GAP)
        _write(canvas, corner, width, text, colour)
        if number and poses.keypoints[row, number - 1, 2] > 0:
            _mark(canvas, found[number - 1] + corner + (0, _HEADER))
    return canvas.finish()


def _headers(poses: Poses, row: int, skeleton: Skeleton) -> list[tuple[str, str]]:
    """Each tile's text and its colour."""
    scores = poses.keypoints[row, :, 2]
    whole = f"all, score {poses.scores[row]:.2f}", person_colours(poses)[row]
    return [
        whole,
        *(
            (f"{name.replace('_', ' ')} {score:.2f}", _colour(name))
            for name, score in zip(skeleton.keypoints, scores, strict=True)
        ),
    ]


def _colour(keypoint: str) -> str:
    sided = side(keypoint)
    return MIDDLE if sided is None else {"left": LEFT, "right": RIGHT}[sided[0]]


def _write(canvas: PictureCanvas, place: tuple[int, int], width: int, text: str, colour: str) -> None:
    # A letter is about 0.6 of the font's size wide.
    font = min(_FONT, width / (0.6 * len(text)))
    x, y = place[0], place[1] + _HEADER / 2
    canvas.axes.text(x, y, text, fontsize=font * POINT, color=colour, va="center_baseline", parse_math=False)


def _mark(canvas: PictureCanvas, place: Array) -> None:
    for colour, width in (("black", 3.0), ("white", 1.2)):
        canvas.axes.plot(*place, "+", color=colour, markersize=11 * POINT, markeredgewidth=width * POINT)
