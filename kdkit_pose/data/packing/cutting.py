"""Cutting persons out of their pictures into one shard."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError
from kdkit.files import write_atomically
from kdkit_pose.data.images import Picture, PictureSource, read_picture
from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.data.packing.region import Region

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """One person to cut: the region, the person's mask, and the bytes of the shard where the pixels go."""

    region: Region
    mask: EncodedMask | None
    offset: int


@dataclass(frozen=True)
class Shard:
    """All that is needed to write one shard, in whatever process.

    Attributes:
        path: Its file.
        size: Its bytes.
        images: Where the pictures come from.
        pictures: The entry of each picture, and whom to cut from it.
    """

    path: Path
    size: int
    images: PictureSource
    pictures: tuple[tuple[Mapping[str, Any], tuple[Cut, ...]], ...]

    @property
    def persons(self) -> int:
        """The number of persons in it."""
        return sum(len(cuts) for _, cuts in self.pictures)

    def write(self) -> int:
        """Write the file, which appears whole or not at all; gives the number of persons.

        Raises:
            DataError: A picture cannot be used, or the file cannot be written.
        """
        content = np.empty(self.size, dtype=np.uint8)
        for entry, cuts in self.pictures:
            picture = read_picture(self.images, entry)
            for one in cuts:
                pixels = cut(picture, one.region, one.mask)
                content[one.offset : one.offset + pixels.size] = pixels.ravel()
        try:
            write_atomically(self.path, lambda file: file.write(content.data))
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        return self.persons


def cut(picture: Picture, region: Region, mask: EncodedMask | None) -> Pixels:
    """The region of a picture as kept, uint8 [h, w, 3], or [h, w, 4] with the mask, 0 to 255, as the last."""
    left, top, width, height = region.window
    pixels: Pixels = picture[top : top + height, left : left + width]
    if mask is not None:
        pixels = np.dstack([pixels, _within(mask, region.window)])
    if region.stored != (width, height):
        # Each kept pixel is the mean of what it covers: nothing flickers as it would if only some were taken.
        pixels = np.asarray(cv2.resize(pixels, region.stored, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.ascontiguousarray(pixels)


def _within(mask: EncodedMask, window: tuple[int, int, int, int]) -> Pixels:
    """The part of a mask that lies in a window of the picture."""
    left, top, width, height = window
    x, y, mask_width, mask_height = mask.window
    plane = np.zeros((height, width), dtype=np.uint8)
    rows = slice(max(top, y), min(top + height, y + mask_height))
    columns = slice(max(left, x), min(left + width, x + mask_width))
    if rows.start < rows.stop and columns.start < columns.stop:
        inside = mask.paint()[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        plane[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return plane
