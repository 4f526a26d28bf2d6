"""The part of a picture that any view of a person may show, and how finely it is worth keeping."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdkit_pose.data.augment import Augment, Crop, half_body
from kdkit_pose.data.people import Array

# Bilinear sampling reads the pixels on both sides; one more for the rounding of the map.
_MARGIN = 2


@dataclass(frozen=True)
class Region:
    """A window of a picture, and the size in which it is kept.

    Attributes:
        window: Left, top, width and height in whole pixels of the picture.
        stored: Width and height as kept; the window's own, or less.
    """

    window: tuple[int, int, int, int]
    stored: tuple[int, int]

    @property
    def to_picture(self) -> Array:
        """The map [2, 3] from the kept pixels to the picture's."""
        return to_picture(np.array(self.window), np.array(self.stored))


def to_picture(window: npt.NDArray[np.int64], stored: npt.NDArray[np.int64]) -> Array:
    """The map [2, 3] from the pixels of a window that is kept in the size ``stored`` [2] to the picture's.

    Whole areas are mapped to each other, so a pixel's centre lies half a pixel from its edge in both.
    """
    across, down = (window[2:] / stored).tolist()
    left, top = window[:2].tolist()
    return np.array([[across, 0, left + (across - 1) / 2], [0, down, top + (down - 1) / 2]])


def find_region(
    crop: Crop,
    picture_size: tuple[int, int],
    input_size: tuple[int, int],
    oversample: float,
    augment: Augment | None,
    keypoints: Array,
    labelled: npt.NDArray[np.bool_],
    upper_body: tuple[int, ...],
) -> Region:
    """What has to be kept of a picture for every view of a person that ``augment`` can draw.

    Args:
        crop: The person's whole crop.
        picture_size: Width and height of the picture.
        input_size: Of the network's input.
        oversample: How many kept pixels an input pixel spans, along each axis, where the crop is the whole one and
            the picture has as many.
        augment: The widest variation.
        keypoints: [K, 2] in pixels of the picture.
        labelled: [K].
        upper_body: Which of the keypoints are the upper half.
    """
    share = min(1.0, oversample * input_size[0] / float(crop.scale[0]))
    margin = math.ceil(_MARGIN / share)
    corners = [_corners(one, augment) for one in _crops(crop, augment, keypoints, labelled, upper_body)]
    least, most = np.min(corners, axis=0)[:2] - margin, np.max(corners, axis=0)[2:] + margin
    # At least one pixel, for a box beside the picture.
    last = np.array(picture_size) - 1
    left, top = np.clip(np.floor(least), 0, last).astype(int).tolist()
    right, bottom = np.clip(np.ceil(most), [left, top], last).astype(int).tolist()
    width, height = right - left + 1, bottom - top + 1
    stored = max(1, round(width * share)), max(1, round(height * share))
    return Region((left, top, width, height), stored)


def _crops(
    crop: Crop,
    augment: Augment | None,
    keypoints: Array,
    labelled: npt.NDArray[np.bool_],
    upper_body: tuple[int, ...],
) -> Iterator[Crop]:
    """The person's whole crop, and those of the halves that may be drawn."""
    yield crop
    if augment is not None and augment.halves(labelled):
        for upper in (True, False):
            half = half_body(crop, keypoints, labelled, upper_body, upper=upper)
            if half is not None:
                yield half


def _corners(crop: Crop, augment: Augment | None) -> Array:
    """Left, top, right and bottom [4] of what a crop shows under any zoom and rotation."""
    zoom = 1.0 if augment is None else 1 + augment.scale_factor
    limit = 0.0 if augment is None else math.radians(augment.rotation_limit)
    across, down = (crop.scale * zoom / 2).tolist()
    half = np.array([_extent(across, down, limit), _extent(down, across, limit)])
    return np.concatenate([crop.center - half, crop.center + half])


def _extent(along: float, other: float, limit: float) -> float:
    """How far a rectangle of half sides ``along`` and ``other`` reaches along the first, turned to ``limit``."""
    # along cos a + other sin a, which is largest where the diagonal lies on the axis.
    angle = min(limit, math.atan2(other, along))
    return along * math.cos(angle) + other * math.sin(angle)
