"""Some persons of a data set: those that a mask predictor learns from, or works for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from kdkit.errors import DataError
from kdkit_pose.data import Augment, CocoKeypoints, Sample
from kdkit_pose.geometry import clip_box, invert_affine

Array = npt.NDArray[np.float64]

# A predictor only ever sees upright, whole crops; the pose networks' wider variation costs it accuracy.
AUGMENT = Augment(half_body_probability=0.0, scale_factor=0.15, rotation_factor=15.0)
"""How crops vary by default while a mask predictor is trained: mildly, for it is only used on upright crops."""


class Persons(Dataset[Sample]):
    """Some of a data set's persons, with their boxes.

    Args:
        data: All of them.
        rows: The places of those wanted.
        boxes: [4] left, top, width and height in pixels of the picture, by the persons' ids.

    Samples are the data set's without what is not about masks, and ``box`` [1, H, W] float32, 1 inside of the
    person's box and 0 outside. They are read by index or (index, view).
    """

    def __init__(self, data: CocoKeypoints, rows: Sequence[int], boxes: Mapping[int, Array]) -> None:
        self._data, self._rows, self._boxes = data, tuple(rows), boxes

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        place, view = index if isinstance(index, tuple) else (index, 0)
        row = self._rows[place]
        sample = self._data[row, view]
        box = draw_box(self._boxes[int(sample["id"])], self._data.matrix(row, view), self._data.codec.input_size)
        kept = {name: sample[name] for name in _KEPT if name in sample}
        return {**kept, "box": torch.from_numpy(box)[None]}


_KEPT = ("image", "mask", "id", "view", "image_id", "center", "scale")


def masked_persons(data: CocoKeypoints) -> Persons:
    """The persons that have an annotated mask, without those who are given a mask of ones.

    Raises:
        DataError: No person has a mask, or some of the masks were predicted.
    """
    if data.masks_predicted is not None:
        raise DataError(
            f"a mask predictor learns from annotated masks alone, but here are {data.masks_predicted}: leave them "
            "out"
        )
    rows = [row for row, masked in enumerate(data.own_masks) if masked]
    if not rows:
        raise DataError(
            f"none of the {len(data)} persons has a segmentation in the annotations: a mask predictor needs data "
            "with masks, such as COCO's"
        )
    return Persons(data, rows, annotated_boxes(data.coco_dict(), data.annotation_ids))


def annotated_boxes(content: Mapping[str, Any], ids: Sequence[int]) -> dict[int, Array]:
    """The boxes of these annotations of a COCO file, clipped to their pictures."""
    sizes = {entry["id"]: (entry["width"], entry["height"]) for entry in content["images"]}
    wanted = set(ids)
    return {
        annotation["id"]: clip_box(annotation["bbox"], *sizes[annotation["image_id"]])
        for annotation in content["annotations"]
        if annotation.get("id") in wanted
    }


def draw_box(box: Array, matrix: Array, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A box [4] of the picture in the crop: float32 [h, w] for ``size`` (w, h), 1 inside and 0 outside."""
    (a, b, c), (d, e, f) = invert_affine(matrix)
    across, down = np.arange(size[0]), np.arange(size[1])[:, None]
    x, y = a * across + b * down + c, d * across + e * down + f
    left, top, width, height = box
    inside: npt.NDArray[np.bool_] = (x >= left) & (x <= left + width) & (y >= top) & (y <= top + height)
    return inside.astype(np.float32)
