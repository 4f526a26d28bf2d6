"""What must be done to a picture before a network sees it, in numbers and in words."""

from typing import Any

import numpy as np

from kdkit_pose.codecs import Codec
from kdkit_pose.data.normalize import MEAN, STD
from kdkit_pose.export.text import wrap
from kdkit_pose.geometry import apply_affine, box_to_center_scale


def preprocessing_numbers(codec: Codec, *, pixels: bool = False, mask: bool = False) -> dict[str, Any]:
    """Return what makes an input of a picture and a person's box, as JSON takes it.

    `input_size` is (width, height) in pixels; `crop_padding` is the factor by which the box is enlarged about
    its centre, once its shorter side is lengthened to `crop_aspect` (width / height); `crop_corners` are the
    points of the input where the crop's top left and bottom right corners come to lie, the centre of the first
    pixel being (0, 0); `mean` and `std`, for values in 0..1, are given only where they are still to be applied;
    `mask` says what the second input is.

    Args:
        codec: Owns the affine map.
        pixels: The network reads uint8 pixels and normalises them itself.
        mask: It also reads the person's mask.
    """
    width, height = codec.input_size
    _, scale = box_to_center_scale((0, 0, width, height), width / height)
    corners = apply_affine(codec.affine(np.zeros(2), scale), np.stack([-scale / 2, scale / 2]))
    numbers: dict[str, Any] = {
        "input_size": [width, height],
        "colour_order": "RGB",
        "layout": "NHWC" if pixels else "NCHW",
        "dtype": "uint8" if pixels else "float32",
        "crop_aspect": width / height,
        "crop_padding": float(scale[0]) / width,
        "crop_corners": corners.round(9).tolist(),
        "interpolation": "bilinear",
    }
    if not pixels:
        numbers |= {"mean": list(MEAN), "std": list(STD)}
    if mask:
        numbers["mask"] = {"layout": "NCHW", "dtype": "float32", "range": [0, 1]}
    return numbers


def describe_preprocessing(codec: Codec, *, pixels: bool = False, mask: bool = False) -> str:
    """Return in words how an input is made of a picture and a person's box.

    >>> from kdkit_pose.codecs import DARK
    >>> print(describe_preprocessing(DARK(input_size=(96, 128))))
    Lengthen the shorter side of the person's box until width / height is 0.75, enlarge it by 1.25 about its
    centre, and warp that crop bilinearly, black beyond the picture, so that its corners come to lie at (0, 0) and
    (96, 128), the centre of the input's first pixel being (0, 0). The input is RGB, float32 [batch, 3, 128, 96]:
    (value / 255 - mean) / std, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225).
    """
    width, height = codec.input_size
    numbers = preprocessing_numbers(codec, pixels=pixels)
    second = (
        " The second input, `mask`, is the person's own segmentation, 1 inside and 0 outside, warped as the "
        f"picture is: float32 [batch, 1, {height}, {width}], not normalised; all 1 where there is none."
        if mask
        else ""
    )
    first, last = (f"({x:g}, {y:g})" for x, y in numbers["crop_corners"])
    if pixels:
        values = f"uint8 [batch, {height}, {width}, 3], as it is: the file normalises it."
    else:
        values = f"float32 [batch, 3, {height}, {width}]: (value / 255 - mean) / std, mean {MEAN}, std {STD}."
    return wrap(
        f"Lengthen the shorter side of the person's box until width / height is {numbers['crop_aspect']:g}, "
        f"enlarge it by {numbers['crop_padding']:g} about its centre, and warp that crop bilinearly, black beyond "
        f"the picture, so that its corners come to lie at {first} and {last}, the centre of the input's first "
        f"pixel being (0, 0). The input is RGB, {values}{second}"
    )
