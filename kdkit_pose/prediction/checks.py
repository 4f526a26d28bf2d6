"""What a predictor is given, looked at before it is used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from kdkit.errors import DataError
from kdkit_pose.data.masks import EncodedMask, encode_mask
from kdkit_pose.data.numerals import FARTHEST

Picture = npt.NDArray[np.uint8]
Mask = EncodedMask | npt.NDArray[Any] | None
"""A person's mask: [H, W] over the picture, not 0 on the person; or encoded; None where it is not known."""


def picture_size(picture: Picture) -> tuple[int, int]:
    """The width and height of an RGB picture.

    Raises:
        DataError: It is not uint8 [H, W, 3], or empty.
    """
    shape: Sequence[int] = getattr(picture, "shape", ())
    kind = getattr(picture, "dtype", type(picture).__name__)
    if len(shape) != 3 or shape[2] != 3 or kind != np.uint8 or not picture.size:
        raise DataError(f"a picture must be RGB uint8 [H, W, 3], found {kind} {list(shape)}")
    return int(shape[1]), int(shape[0])


def numbers(values: npt.ArrayLike, shape: tuple[int | None, ...], what: str) -> npt.NDArray[np.float64]:
    """``values`` as float64 of ``shape``, in which None stands for any length.

    Raises:
        DataError: They are of another shape, or not all finite numbers of at most 10^9.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{what} must be numbers ({error})") from error
    if not array.size and array.ndim < 2 and None in shape:
        array = array.reshape([length or 0 for length in shape])  # an empty list is as many as none of anything
    fits = array.ndim == len(shape) and all(
        length in (None, found) for length, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        expected = ", ".join("N" if length is None else str(length) for length in shape)
        raise DataError(f"{what} must be of shape [{expected}], found {list(np.shape(values))}")
    if not np.isfinite(array).all():
        raise DataError(f"{what} must be finite numbers, found {array[~np.isfinite(array)][0]}")
    if (np.abs(array) > FARTHEST).any():
        raise DataError(f"{what} must be at most {FARTHEST:g}, found {array[np.abs(array) > FARTHEST][0]:g}")
    return array


def encoded(mask: Mask, width: int, height: int) -> EncodedMask | None:
    """``mask`` as data sets keep it; None if it covers nothing.

    Raises:
        DataError: It is of another shape than the picture, or reaches beyond it.
    """
    if mask is None:
        return None
    if isinstance(mask, EncodedMask):
        left, top, *sides = mask.window
        if min(left, top, *sides) < 0 or left + sides[0] > width or top + sides[1] > height:
            raise DataError(
                f"a mask must lie within the picture, {width} x {height} pixels, found one of (left, top, width, "
                f"height) = {mask.window}: was it made for another picture, or for another size of it?"
            )
        return mask
    if mask.shape != (height, width):
        raise DataError(f"a mask must be of the picture's shape {[height, width]}, found {list(mask.shape)}")
    inside = np.asfortranarray(mask != 0, dtype=np.uint8)
    return encode_mask(coco_mask.encode(inside), width, height)
