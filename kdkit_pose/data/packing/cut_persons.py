"""Persons cut out of their pictures as training samples, wherever their pixels lie."""

import hashlib
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.collating import empty_batch
from kdkit_pose.data.masks import MaskStore
from kdkit_pose.data.packing.geometry import Records
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.region import to_picture
from kdkit_pose.data.people import Array, People
from kdkit_pose.data.pose_dataset import PoseDataset
from kdkit_pose.data.preparing import PrepareSamples
from kdkit_pose.data.warping import warp
from kdkit_pose.geometry import compose_affine

Pixels = npt.NDArray[np.uint8]


class CutPersons(PoseDataset):
    """Persons whose pixels were cut from their pictures: `PackedKeypoints` and `StreamedKeypoints`.

    Args:
        path: The folder.
        header: How they were cut, and what of.
        codec: The heatmap convention.
        augment: How the views of a person vary; not at all without it.
        seed: What the variations derive from.
        masks: Whether samples have a ``mask``; by default where masks were kept.
        canonical: Whether samples have ``warp`` and ``mirrored``.

    Raises:
        ConfigurationError: The codec, the augmentation or the masks do not fit the way that persons were cut.
    """

    command: ClassVar[str]
    """What cuts them, for errors."""

    def __init__(
        self,
        path: Path,
        header: Header,
        *,
        codec: Codec,
        augment: Augment | None,
        seed: int,
        masks: bool | None,
        canonical: bool,
    ) -> None:
        self.path, self.header = path, header
        self._check_fits(codec, augment, masks)
        self.codec, self.augment, self.seed, self.canonical = codec, augment, seed, canonical
        self.has_masks = header.has_masks if masks is None else masks
        self.skeleton, self.has_targets = header.skeleton, header.has_targets
        self.masks_predicted = header.masks_predicted if self.has_masks else None
        self.skipped, self.image_ids = header.skipped, header.image_ids

    def _hold(self, records: Records) -> None:
        """Take over the persons of these records."""
        self.people = _people(records)
        self._picture_widths, self._own_masks = records["picture_width"].copy(), records["planes"] == 4
        self._to_picture = [to_picture(*place) for place in zip(records["window"], records["stored"], strict=True)]

    @abstractmethod
    def _pixels(self, row: int) -> Pixels:
        """The pixels of one person, uint8 [h, w, 3], or [h, w, 4] with the mask; not to be written to."""

    @property
    def own_masks(self) -> tuple[bool, ...]:
        """For each sample, whether its mask is the person's, annotated or predicted, and not a mask of ones."""
        return tuple(self._own_masks.tolist())

    @property
    def prepare(self) -> PrepareSamples:
        """Makes of a collated batch, on its device, one of the fields of `CocoKeypoints`."""
        return PrepareSamples(self.codec)

    def fingerprint(self) -> str:
        """A SHA-256 of what the samples depend on: the persons and how they were cut, codec, augmentation and
        seed; the same for `PackedKeypoints` and `StreamedKeypoints`. The pictures' content is not in it."""
        header = self.header
        parts = (
            *(header.source, header.persons_sha256, header.oversample, self.has_masks),
            *(sorted(self.codec.convention.items()), self.augment, self.seed),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def __repr__(self) -> str:
        boxes = "ground-truth" if self.header.boxes is None else "detector"
        return f"{type(self).__name__}({len(self)} {boxes} boxes in '{self.path}', codec={self.codec!r})"

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
        pixels = self._pixels(row)
        # Picture and mask in one go. To split four planes is far faster than to pick three of them.
        fourth = np.empty_like(image[0]) if mask is None else mask[0]
        cv2.split(warp(pixels, matrix, self.codec.input_size), [*image, fourth])
        if mask is not None and pixels.shape[2] == 3:
            mask[:] = 255

    def _check_fits(self, codec: Codec, augment: Augment | None, masks: bool | None) -> None:
        header, again = self.header, f"run kdkit-pose {self.command} again"
        (width, height), (packed_width, packed_height) = codec.input_size, header.input_size
        if width * packed_height != height * packed_width or width > packed_width:
            raise ConfigurationError(
                f"{self.path}: packed for inputs of {packed_height}x{packed_width} (height x width), not "
                f"{height}x{width}, which must be of the same aspect and no larger: {again} for these"
            )
        if augment is not None and (more := augment.exceeds(header.augment)):
            raise ConfigurationError(
                f"{self.path}: packed without the room that the augmentation needs: {', '.join(more)}; {again} "
                "for it, or let the persons vary less"
            )
        if masks and not header.has_masks:
            raise ConfigurationError(f"{self.path}: packed without masks; leave masks out, or {again} with them")


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
