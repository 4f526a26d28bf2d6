"""Packed persons as training samples."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.codecs import Codec
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.collating import empty_batch
from kdkit_pose.data.masks import MaskStore
from kdkit_pose.data.packing.geometry import Records, read_records
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.pack import HEADER, UNFINISHED
from kdkit_pose.data.packing.region import to_picture
from kdkit_pose.data.packing.shards import Pixels, Shards
from kdkit_pose.data.people import Array, People
from kdkit_pose.data.pose_dataset import PoseDataset
from kdkit_pose.data.preparing import PrepareSamples
from kdkit_pose.data.warping import warp
from kdkit_pose.geometry import compose_affine


class PackedKeypoints(PoseDataset):
    """The persons that :func:`pack` cut from their pictures, as the same samples in bytes.

    Ids, order, views, crops and keypoints are those of the `CocoKeypoints` that were packed, read with the same
    augmentation and seed; so are the pixels, but where crops were reduced. A sample lacks what is made for a whole
    batch on the training's device, by :attr:`prepare`: give it to `kdkit.Trainer` as ``prepare``, or call it.

    Args:
        path: The folder.
        codec: The heatmap convention; its input has the packed aspect, and is no larger than packed for.
        augment: How the views of a person vary; not at all without it.
        seed: What the variations derive from, together with a person's id and the view.
        masks: Whether samples have a ``mask``; by default where masks were packed.
        canonical: Whether samples have ``warp`` and ``mirrored``, for a `kdkit.cache.CanonicalTeacher`.

    A sample is a dict of tensors:

    =========  ==================  =================================================================
    image      [3, H, W] uint8     RGB
    mask       [1, H, W] uint8     the same person's segmentation, 0 to 255
    keypoints  [K, 2] float64      x and y in pixels of the input; (0, 0) where not labelled
    labelled   [K] bool            which keypoints are labelled
    =========  ==================  =================================================================

    and ``id``, ``view``, ``image_id``, ``center``, ``scale``, ``box_score``, and with ``canonical`` ``warp`` and
    ``mirrored``, as in `CocoKeypoints`. Prepared, a batch has the fields of `CocoKeypoints` and ``labelled``.

    Raises:
        DataError: The folder holds no packed persons, is not finished, or damaged.
        ConfigurationError: The codec's input is larger or of another aspect than packed for, ``augment`` needs
            more room than was packed, or masks are asked for that were not.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        codec: Codec,
        augment: Augment | None = None,
        seed: int = 0,
        masks: bool | None = None,
        canonical: bool = False,
    ) -> None:
        self.path = Path(path)
        self.header = _read_header(self.path)
        _check_fits(self.path, self.header, codec, augment, masks)
        self.codec, self.augment, self.seed, self.canonical = codec, augment, seed, canonical
        self.has_masks = self.header.has_masks if masks is None else masks
        self.skeleton, self.has_targets = self.header.skeleton, self.header.has_targets
        self.masks_predicted = self.header.masks_predicted if self.has_masks else None
        self.skipped, self.image_ids = self.header.skipped, self.header.image_ids
        records = read_records(self.path, self.header)
        self.people = _people(records)
        self._picture_widths, self._own_masks = records["picture_width"].copy(), records["planes"] == 4
        self._to_picture = [to_picture(*place) for place in zip(records["window"], records["stored"], strict=True)]
        self._shards = Shards(self.path, self.header, records)

    @property
    def own_masks(self) -> tuple[bool, ...]:
        """For each sample, whether its mask is the person's, annotated or predicted, and not a mask of ones."""
        return tuple(self._own_masks.tolist())

    @property
    def prepare(self) -> PrepareSamples:
        """Makes of a collated batch, on its device, one of the fields of `CocoKeypoints`."""
        return PrepareSamples(self.codec)

    def fingerprint(self) -> str:
        """A SHA-256 of what the samples depend on: the packed persons and how they were packed, codec,
        augmentation and seed. The pictures' content is not in it."""
        header = self.header
        parts = (
            *(header.source, header.persons_sha256, header.oversample, self.has_masks),
            *(sorted(self.codec.convention.items()), self.augment, self.seed),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def __repr__(self) -> str:
        boxes = "ground-truth" if self.header.boxes is None else "detector"
        return f"PackedKeypoints({len(self)} {boxes} boxes in '{self.path}', codec={self.codec!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A worker started afresh opens the folder itself: mapped pixels must not travel.
        kept = ("path", "codec", "augment", "seed", "canonical")
        return {name: getattr(self, name) for name in kept} | {"masks": self.has_masks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _picture_width(self, row: int) -> int:
        return int(self._picture_widths[row])

    def _empty_fields(self, count: int) -> dict[str, Tensor]:
        width, height = self.codec.input_size
        fields = {"image": empty_batch((count, 3, height, width), torch.uint8)}
        if self.has_masks:
            fields["mask"] = empty_batch((count, 1, height, width), torch.uint8)
        if self.has_targets:
            joints = self.skeleton.num_keypoints
            fields["keypoints"] = empty_batch((count, joints, 2), torch.float64)
            fields["labelled"] = empty_batch((count, joints), torch.bool)
        return fields

    def _fill(self, row: int, matrix: Array, flip: bool, sample: dict[str, Any]) -> None:
        if self.has_targets:
            sample["keypoints"][:], sample["labelled"][:] = self._keypoints(row, matrix, flip=flip)
        self._draw(row, compose_affine(matrix, self._to_picture[row]), sample["image"], sample.get("mask"))

    def _draw(self, row: int, matrix: Array, image: Pixels, mask: Pixels | None) -> None:
        """Warp a person's pixels by ``matrix`` into ``image`` [3, H, W] and ``mask`` [1, H, W]."""
        pixels = self._shards.read(row)
        # Picture and mask in one go. To split four planes is far faster than to pick three of them.
        fourth = np.empty_like(image[0]) if mask is None else mask[0]
        cv2.split(warp(pixels, matrix, self.codec.input_size), [*image, fourth])
        if mask is not None and pixels.shape[2] == 3:
            mask[:] = 255


def _read_header(folder: Path) -> Header:
    if not (folder / HEADER).exists():
        if (folder / UNFINISHED).exists():
            raise DataError(
                f"{folder}: packing it was interrupted: run the same kdkit-pose pack again to finish it"
            )
        raise DataError(f"{folder}: holds no packed persons ({HEADER} is missing); kdkit-pose pack makes them")
    return Header.read(folder / HEADER)


def _check_fits(folder: Path, header: Header, codec: Codec, augment: Augment | None, masks: bool | None) -> None:
    (width, height), (packed_width, packed_height) = codec.input_size, header.input_size
    if width * packed_height != height * packed_width or width > packed_width:
        raise ConfigurationError(
            f"{folder}: packed for inputs of {packed_height}x{packed_width} (height x width), not "
            f"{height}x{width}, which must be of the same aspect and no larger: pack the persons again for these"
        )
    if augment is not None and (more := augment.exceeds(header.augment)):
        raise ConfigurationError(
            f"{folder}: packed without the room that the augmentation needs: {', '.join(more)}; pack the persons "
            "again for it, or let them vary less"
        )
    if masks and not header.has_masks:
        raise ConfigurationError(f"{folder}: packed without masks; leave masks out, or pack the persons with them")


def _people(records: Records) -> People:
    """The persons' arrays; their masks are among the pixels."""
    return People(
        ids=records["id"].copy(),
        image_ids=records["image_id"].copy(),
        centers=records["center"].copy(),
        scales=records["scale"].copy(),
        box_scores=records["box_score"].copy(),
        keypoints=records["keypoints"].copy(),
        labelled=records["labelled"].copy(),
        masks=MaskStore.pack([None] * len(records)),
    )
