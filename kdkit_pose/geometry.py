"""Boxes and affine maps of the top-down protocol: from the picture's pixels to a network's input and back.

An affine map is a [2, 3] float64 array; it takes a point (x, y) to ``matrix[:, :2] @ (x, y) + matrix[:, 2]``.
The conventions are those of the HRNet reference implementation (arXiv 1902.09212): lengths are plain sizes in
pixels, the input's middle is at size / 2. Only :func:`corner_affine` is UDP's (arXiv 1911.07524).
"""

import math

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError

Array = npt.NDArray[np.float64]


def clip_box(box_xywh: npt.ArrayLike, width: int, height: int) -> Array:
    """Clip a box [4] (left, top, width, height) to a picture, as the protocol does with ground-truth boxes.

    Edges are kept within the first and last pixel's coordinates, as mmpose does it; HRNet's own code takes one
    more pixel off every box, even one that lies wholly inside. A box beside the picture comes back with a width
    or height of 0.
    """
    x, y, box_width, box_height = np.asarray(box_xywh, dtype=np.float64)
    left, right = np.clip([x, x + max(box_width, 0.0)], 0, width - 1)
    top, bottom = np.clip([y, y + max(box_height, 0.0)], 0, height - 1)
    return np.array([left, top, right - left, bottom - top])


def box_to_center_scale(box_xywh: npt.ArrayLike, aspect: float, padding: float = 1.25) -> tuple[Array, Array]:
    """The crop that shows a box: its centre [2] and its scale [2] (width, height), both in pixels of the
    picture.

    The box's shorter side is lengthened until width / height is ``aspect``, then both are multiplied by
    ``padding``.

    Raises:
        DataError: The box has no extent at all, or holds a number that is not finite.
    """
    # In plain numbers, which for so few are several times as fast.
    x, y, width, height = np.asarray(box_xywh, dtype=np.float64).tolist()
    if not all(map(math.isfinite, (x, y, width, height))) or max(width, height) <= 0:
        raise DataError(
            f"box (x, y, width, height) = ({x}, {y}, {width}, {height}) shows nothing; expected finite "
            "numbers and a width or height above 0: leave such boxes out"
        )
    width = max(width, 0.0)
    height = max(height, 0.0)
    center = np.array([x + width / 2, y + height / 2])
    scale = np.array([max(width, height * aspect), max(height, width / aspect)])
    return center, scale * padding


def crop_affine(
    center: npt.ArrayLike, scale: npt.ArrayLike, size: tuple[int, int], rotation_degrees: float = 0.0
) -> Array:
    """The map [2, 3] from the picture's pixels to those of an input of ``size`` (width, height).

    ``center`` [2] goes to size / 2 and ``scale[0]`` pixels of the picture span the input's width; the scale's
    height plays no part, so the map is a similarity. The window is turned by ``rotation_degrees`` about its
    centre, clockwise as seen on a screen, so what it shows turns the other way. Equals the reference's
    three-point ``get_affine_transform``.
    """
    factor = size[0] / np.asarray(scale, dtype=np.float64)[0]
    angle = np.deg2rad(rotation_degrees)
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    offset = np.array(size, dtype=np.float64) / 2 - linear @ np.asarray(center, dtype=np.float64)
    return _joined(linear, offset)


def corner_affine(
    center: npt.ArrayLike, scale: npt.ArrayLike, size: tuple[int, int], rotation_degrees: float = 0.0
) -> Array:
    """The map [2, 3] from the picture's pixels to those of an input of ``size`` (width, height), UDP's way.

    The corners of the crop, ``center`` [2] plus and minus half of ``scale`` [2], go to the centres of the
    input's first and last pixels, so lengths of the input are size - 1. Its two axes are scaled each by itself,
    which differs by less than 1 per cent for a crop of the input's aspect. The window is turned as by
    :func:`crop_affine`; the reference turns it the other way here, which random angles do not show. Source:
    arXiv 1911.07524, section 3.
    """
    length = np.array(size, dtype=np.float64) - 1
    factor = length / np.asarray(scale, dtype=np.float64)
    angle = np.deg2rad(rotation_degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = factor[:, None] * turn
    offset = length / 2 - linear @ np.asarray(center, dtype=np.float64)
    return _joined(linear, offset)


def apply_affine(matrix: npt.ArrayLike, points: npt.ArrayLike) -> Array:
    """The points [..., 2] after the map ``matrix`` [2, 3]."""
    matrix = np.asarray(matrix, dtype=np.float64)
    result: Array = np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return result


def invert_affine(matrix: npt.ArrayLike) -> Array:
    """The map [2, 3] that undoes ``matrix`` [2, 3]."""
    matrix = np.asarray(matrix, dtype=np.float64)
    linear = np.linalg.inv(matrix[:, :2])
    return _joined(linear, -linear @ matrix[:, 2])


def compose_affine(outer: npt.ArrayLike, inner: npt.ArrayLike) -> Array:
    """The map [2, 3] that does ``inner`` first and ``outer`` after it."""
    outer = np.asarray(outer, dtype=np.float64)
    inner = np.asarray(inner, dtype=np.float64)
    linear = outer[:, :2] @ inner[:, :2]
    return _joined(linear, outer[:, :2] @ inner[:, 2] + outer[:, 2])


def _joined(linear: Array, offset: Array) -> Array:
    matrix = np.empty((2, 3))
    matrix[:, :2], matrix[:, 2] = linear, offset
    return matrix
