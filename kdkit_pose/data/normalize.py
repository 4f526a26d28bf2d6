"""From a picture's bytes to what networks trained on ImageNet expect."""

import cv2
import numpy as np
import numpy.typing as npt

from kdkit.transforms import IMAGENET_MEAN, IMAGENET_STD
from kdkit_pose.data.warping import warp

MEAN = IMAGENET_MEAN
"""ImageNet's mean of red, green and blue, of values in [0, 1]."""
STD = IMAGENET_STD
"""ImageNet's standard deviation of red, green and blue."""

# A byte has 256 values: a look-up is scale, shift and conversion in one pass.
_TABLES = [((np.arange(256) / 255 - m) / s).astype(np.float32) for m, s in zip(MEAN, STD, strict=True)]


def normalize(
    picture: npt.NDArray[np.uint8], out: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """RGB uint8 [H, W, 3] to float32 [3, H, W]: (value / 255 - mean) / std; into ``out`` if it is given. A fourth
    plane is left out."""
    height, width, _ = picture.shape
    result = np.empty((3, height, width), dtype=np.float32) if out is None else out
    for plane, channel, table in zip(result, cv2.split(picture)[:3], _TABLES, strict=True):
        cv2.LUT(channel, table, dst=plane)
    return result


def network_input(
    picture: npt.NDArray[np.uint8],
    matrix: npt.ArrayLike,
    size: tuple[int, int],
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """What a network sees of a picture: float32 [3, h, w], normalized, for ``size`` (w, h).

    ``picture`` is RGB uint8 [H, W, 3], ``matrix`` [2, 3] the map from its pixels to those of the input, which is
    black beyond the picture's edges. The result is written into ``out`` if it is given.
    """
    return normalize(warp(picture, np.asarray(matrix, dtype=np.float64), size), out)


def denormalize(image: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The inverse of `normalize`, to show a network's input: float32 [3, H, W] to RGB uint8 [H, W, 3]."""
    values = image.transpose(1, 2, 0) * np.array(STD, dtype=np.float32) + np.array(MEAN, dtype=np.float32)
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
