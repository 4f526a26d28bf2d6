"""From a crop's probabilities to a mask in the picture."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from kdkit_pose.geometry import apply_affine, compose_affine, invert_affine

Array = npt.NDArray[Any]


def place_mask(
    probability: Array, matrix: npt.NDArray[np.float64], size: tuple[int, int], threshold: float
) -> dict[str, Any]:
    """The mask in the picture, as COCO's compressed RLE ``{"size": [height, width], "counts": str}``.

    Args:
        probability: [h, w] float32 in 0..1, of the crop's pixels.
        matrix: [2, 3], from the picture's pixels to those of the crop.
        size: The picture's width and height.
        threshold: The probability from which on a pixel of the picture is the person's. Beyond the crop it is 0.
    """
    width, height = size
    picture = np.zeros((height, width), dtype=np.uint8, order="F")
    left, top, right, bottom = _window(probability.shape, matrix, size)
    if right > left and bottom > top:
        # What maps the window's pixels to the crop's: warpAffine reads the crop at these places.
        moved = compose_affine(matrix, [[1, 0, left], [0, 1, top]])
        warped = cv2.warpAffine(
            np.ascontiguousarray(probability, dtype=np.float32),
            moved,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        picture[top:bottom, left:right] = warped >= threshold
    encoded = coco_mask.encode(picture)
    return {"size": [height, width], "counts": encoded["counts"].decode()}


def _window(
    shape: tuple[int, ...], matrix: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The part of the picture that the crop shows: left, top, right, bottom; the last two are not in it."""
    height, width = shape
    corners = apply_affine(invert_affine(matrix), [[-1, -1], [width, -1], [-1, height], [width, height]])
    least, most = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
    left, top = np.clip(least, 0, size).astype(int).tolist()
    right, bottom = np.clip(most, 0, size).astype(int).tolist()
    return left, top, right, bottom
