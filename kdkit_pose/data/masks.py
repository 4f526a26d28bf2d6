"""Each person's own segmentation mask: kept compressed, and warped as the picture is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from kdkit.errors import DataError
from kdkit.limits import Limits
from kdkit_pose.data.rle import decompress, paint, parse_runs
from kdkit_pose.data.warping import within_opencv
from kdkit_pose.geometry import compose_affine

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EncodedMask:
    """A mask cut to where it is not zero: left, top, width and height in picture pixels, and its RLE."""

    window: tuple[int, int, int, int]
    counts: bytes

    def paint(self) -> npt.NDArray[np.uint8]:
        """The window [height, width]: 0 outside of the person, 255 inside."""
        _, _, width, height = self.window
        return np.ascontiguousarray(paint(decompress(self.counts), width, height))


@dataclass(frozen=True)
class MaskStore:
    """The masks of many persons in three flat pieces, so that worker processes share the memory.

    Attributes:
        windows: [N, 4] int64, left, top, width and height in pixels of the picture; all 0 for no mask.
        ends: [N] int64, where each mask's run lengths end in ``counts``.
        counts: The run lengths of all masks, in COCO's compressed form.
    """

    windows: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    counts: bytes

    @classmethod
    def pack(cls, masks: Sequence[EncodedMask | None]) -> "MaskStore":
        """Store the masks, None for a person without one."""
        counts = [b"" if mask is None else mask.counts for mask in masks]
        windows = [(0, 0, 0, 0) if mask is None else mask.window for mask in masks]
        return cls(
            windows=np.array(windows, dtype=np.int64).reshape(-1, 4),
            ends=np.cumsum([len(piece) for piece in counts], dtype=np.int64),
            counts=b"".join(counts),
        )

    def read(self, row: int) -> EncodedMask | None:
        """The mask of one person; None for no mask."""
        left, top, width, height = (int(value) for value in self.windows[row])
        if width == 0:
            return None
        start = int(self.ends[row - 1]) if row else 0
        return EncodedMask((left, top, width, height), self.counts[start : int(self.ends[row])])

    def warp(
        self, row: int, matrix: Array, size: tuple[int, int], out: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        """The mask of one person under the map ``matrix`` [2, 3] from the picture.

        Returns:
            float32 [h, w] for ``size`` (w, h), in [0, 1] and bilinear like the picture; all 1 for no mask. It is
            ``out``, if that is given.
        """
        result = np.empty((size[1], size[0]), dtype=np.float32) if out is None else out
        mask = self.read(row)
        if mask is None:
            result[:] = 1
            return result
        left, top, _, _ = mask.window
        # Zero outside of the window is what the mask is there: warping the window is warping the whole.
        moved = compose_affine(matrix, [[1, 0, left], [0, 1, top]])
        painted, moved = within_opencv(mask.paint(), moved, size)
        warped = cv2.warpAffine(painted, moved, size, flags=cv2.INTER_LINEAR)
        return np.multiply(warped, np.float32(1 / 255), out=result, dtype=np.float32)


def encode_mask(segmentation: Any, width: int, height: int) -> EncodedMask | None:
    """A COCO ``segmentation`` of a picture of ``width`` by ``height`` pixels; None if it covers no pixel.

    Reads polygons, uncompressed and compressed RLE, with pycocotools' rules for a polygon's pixels.

    Raises:
        DataError: It is none of these, does not fit the picture, or is beyond the `kdkit.Limits`.
    """
    if not segmentation:
        return None
    if (excess := Limits.current().excess("picture_pixels", width * height, "pixels")) is not None:
        raise DataError(f"its segmentation's mask has {excess}")
    if isinstance(segmentation, dict):
        return _from_rle(segmentation, width, height)
    return _from_polygons(segmentation, width, height)


def _from_polygons(segmentation: Any, width: int, height: int) -> EncodedMask | None:
    try:
        polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation]
        sound = all(p.ndim == 1 and p.size % 2 == 0 and np.isfinite(p).all() for p in polygons)
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:
        raise DataError("its segmentation is no list of polygons [x1, y1, x2, y2, ...] of finite numbers")
    # COCO holds polygons of two points: they cover nothing.
    points = [polygon.reshape(-1, 2) for polygon in polygons if polygon.size >= 6]
    if not points:
        return None
    _check_outlines(points)
    least, most = np.min([p.min(0) for p in points], axis=0), np.max([p.max(0) for p in points], axis=0)
    left, top = max(0, math.floor(least[0])), max(0, math.floor(least[1]))
    right, bottom = min(width, math.ceil(most[0]) + 1), min(height, math.ceil(most[1]) + 1)
    if right <= left or bottom <= top:
        return None
    # What lies right of it and below is left off, but not what lies left and above: moving a polygon changes how
    # pycocotools rounds its edges.
    rle = coco_mask.merge(coco_mask.frPyObjects([p.ravel().tolist() for p in points], bottom, right))
    if int(coco_mask.area(rle)) == 0:
        return None
    return _cut(paint(decompress(rle["counts"]), right, bottom), left, top)


def _check_outlines(polygons: Sequence[Array]) -> None:
    """Refuse what pycocotools would take much memory for: it walks every edge, five steps a pixel."""
    limits = Limits.current()
    farthest = max(float(np.abs(points).max()) for points in polygons)
    edges = (np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() for points in polygons)
    for found, what in ((farthest, "pixels from the picture's corner"), (float(sum(edges)), "pixels of outline")):
        # No float is too large for a comparison, but some are for an integer.
        whole = math.ceil(min(found, 1e18))
        if (excess := limits.excess("outline_pixels", whole, what)) is not None:
            raise DataError(f"its segmentation's polygons have {excess}")


def _from_rle(rle: dict[str, Any], width: int, height: int) -> EncodedMask | None:
    size = rle.get("size")
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise DataError(f"its segmentation is of size {size}, its picture of [height, width] = {[height, width]}")
    mask = paint(parse_runs(rle.get("counts"), width * height), width, height)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return _cut(mask[: rows[-1] + 1, : columns[-1] + 1], int(columns[0]), int(rows[0]))


def _cut(mask: npt.NDArray[np.uint8], left: int, top: int) -> EncodedMask:
    """The part of ``mask`` from (left, top) on."""
    inside = mask[top:, left:]
    counts = coco_mask.encode(np.asfortranarray(inside))["counts"]
    return EncodedMask((left, top, inside.shape[1], inside.shape[0]), bytes(counts))
