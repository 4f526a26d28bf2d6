"""What every data set of persons has, wherever its pixels come from."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdkit.sampling import borrow_generator
from kdkit_pose.codecs import Codec
from kdkit_pose.data.augment import Augment, Crop
from kdkit_pose.data.collating import SampleBatch, empty_batch
from kdkit_pose.data.mask_source import MasksUsed
from kdkit_pose.data.people import Array, People
from kdkit_pose.data.placing import cells_to_canonical
from kdkit_pose.data.skipped import Skipped
from kdkit_pose.geometry import apply_affine, compose_affine
from kdkit_pose.skeleton import Skeleton

Sample = dict[str, Tensor]


class PoseDataset(Dataset[Sample], ABC):
    """Persons as samples that are read by an index, or by (index, view): which of them, and where they lie.

    `CocoKeypoints`, `PackedKeypoints` and `StreamedKeypoints` are such data sets. What is drawn for a view, and
    the map from the picture to the input, is decided here, so that it is the same in all.

    Attributes:
        codec: The heatmap convention, which also gives the input's size and affine map.
        augment: How the views of a person vary; None for not at all.
        skeleton: Which keypoints the persons have.
        seed: What the variations derive from, together with a person's id and the view.
        canonical: Whether samples have ``warp`` and ``mirrored``, which say where their view lies.
        has_targets: Whether samples have keypoints and heatmaps.
        has_masks: Whether samples have a ``mask``.
        masks_predicted: Which predictor's masks were taken, and for how many persons; None for none.
        skipped: What was left out, and why.
        image_ids: The pictures to be scored.
        people: The persons as arrays, in pixels of the pictures.
    """

    codec: Codec
    augment: Augment | None
    skeleton: Skeleton
    seed: int
    canonical: bool
    has_targets: bool
    has_masks: bool
    masks_predicted: MasksUsed | None
    skipped: Skipped
    image_ids: tuple[int, ...]
    people: People

    @property
    def annotation_ids(self) -> tuple[int, ...]:
        """The annotations' ids in the order of the samples; with a detector's boxes, places in their list."""
        return tuple(self.people.ids.tolist())

    @property
    @abstractmethod
    def own_masks(self) -> tuple[bool, ...]:
        """For each sample, whether its mask is the person's, annotated or predicted, and not a mask of ones."""

    @property
    def masked(self) -> int:
        """How many samples have a mask that is the person's."""
        return sum(self.own_masks)

    @property
    def convention(self) -> dict[str, str]:
        """The codec in strings but for its decoder: `kdkit.Trainer` compares it with student and teachers."""
        return self.codec.convention

    @property
    def prepare(self) -> Callable[[dict[str, Tensor]], dict[str, Tensor]] | None:
        """What makes of a collated batch, on the training's device, the batch to learn from: `kdkit.Trainer`'s
        argument ``prepare``. None where samples are ready as they are."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 of what the samples depend on."""

    def unaugmented(self) -> Self:
        """The same persons, each always shown whole: what a canonical cache is made of.

        Its fingerprint does not depend on this one's augmentation and seed, so such a cache serves all of them.
        """
        plain = copy.copy(self)
        plain.augment, plain.seed, plain.canonical = None, 0, False
        return plain

    def placed(self) -> Self:
        """The same samples with ``warp`` and ``mirrored``, as ``canonical=True`` makes them."""
        placed = copy.copy(self)
        placed.canonical = True
        return placed

    def matrix(self, row: int, view: int = 0) -> Array:
        """The map [2, 3] from the picture's pixels to those of a sample's input, mirrored where the sample is."""
        return self._matrix(self._crop(row, view), self._picture_width(row))

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int | tuple[int, int]]) -> SampleBatch:
        """The samples of a whole batch, each written to its place: none is copied to be collated."""
        places = [self._place(index) for index in indices]
        fields = self._empty_fields(len(places))
        fields |= {name: empty_batch((len(places), 2), torch.float64) for name in ("center", "scale")}
        arrays = {name: values.numpy() for name, values in fields.items()}
        crops = [self._crop(row, view) for row, view in places]
        matrices = [
            self._matrix(crop, self._picture_width(row)) for crop, (row, _) in zip(crops, places, strict=True)
        ]
        for place, ((row, _), crop, matrix) in enumerate(zip(places, crops, matrices, strict=True)):
            arrays["center"][place], arrays["scale"][place] = crop.center, crop.scale
            self._fill(row, matrix, crop.flip, {name: values[place] for name, values in arrays.items()})
        if self.canonical:
            fields |= self._placing([row for row, _ in places], crops, matrices)
        return SampleBatch(fields | self._labels(places))

    @abstractmethod
    def _picture_width(self, row: int) -> int:
        """The width of a person's picture, in which it is mirrored."""

    @abstractmethod
    def _empty_fields(self, count: int) -> dict[str, Tensor]:
        """What :meth:`_fill` fills, for so many samples."""

    @abstractmethod
    def _fill(self, row: int, matrix: Array, flip: bool, sample: dict[str, Any]) -> None:
        """Fill one sample's arrays, by name, under the map [2, 3] from the picture to the input; ``flip`` says
        whether it mirrors."""

    def _place(self, index: int | tuple[int, int]) -> tuple[int, int]:
        """The row and view of an index.

        Raises:
            IndexError: There is no such row.
        """
        row, view = index if isinstance(index, tuple) else (index, 0)
        if not -len(self) <= row < len(self):
            raise IndexError(f"sample {row} of a data set of {len(self)}")
        return row % len(self), view

    def _labels(self, places: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """What says of which persons, pictures and views the samples at these rows and views are."""
        rows, views = (np.array(part, dtype=np.int64) for part in zip(*places, strict=True))
        labels = {
            "id": self.people.ids[rows],
            "view": views,
            "image_id": self.people.image_ids[rows],
            "box_score": self.people.box_scores[rows],
        }
        return {name: torch.from_numpy(values) for name, values in labels.items()}

    def _placing(self, rows: Sequence[int], crops: Sequence[Crop], matrices: Sequence[Array]) -> dict[str, Tensor]:
        """Where views lie in the maps of their whole persons."""
        whole = [self._matrix(self._whole(row), self._picture_width(row)) for row in rows]
        warp = cells_to_canonical(np.stack(whole), np.stack(matrices), self.codec.cell_size)
        mirrored = torch.tensor([crop.flip for crop in crops])
        return {"warp": torch.from_numpy(warp.astype(np.float32)), "mirrored": mirrored}

    def _whole(self, row: int) -> Crop:
        """The crop that shows a whole person, as it is without augmentation."""
        return Crop(self.people.centers[row], self.people.scales[row])

    def _crop(self, row: int, view: int) -> Crop:
        people, crop = self.people, self._whole(row)
        if self.augment is None:
            return crop
        draw = self.augment.draw(borrow_generator(self.seed, int(people.ids[row]), view))
        return self.augment.place(
            crop, draw, people.keypoints[row], people.labelled[row], self.skeleton.upper_body
        )

    def _matrix(self, crop: Crop, width: int) -> Array:
        """The one map [2, 3] from the picture to the input: for picture, mask and keypoints alike."""
        if not crop.flip:
            return self.codec.affine(crop.center, crop.scale, crop.rotation)
        mirrored = np.array([width - 1 - crop.center[0], crop.center[1]])
        return compose_affine(
            self.codec.affine(mirrored, crop.scale, crop.rotation), [[-1, 0, width - 1], [0, 1, 0]]
        )

    def _keypoints(self, row: int, matrix: Array, *, flip: bool) -> tuple[Array, npt.NDArray[np.bool_]]:
        """A person's keypoints [K, 2] in pixels of the input, (0, 0) where not labelled, and [K] which are."""
        keypoints, labelled = apply_affine(matrix, self.people.keypoints[row]), self.people.labelled[row]
        if flip:
            keypoints, labelled = keypoints[self._mirrored], labelled[self._mirrored]
        return np.where(labelled[:, None], keypoints, 0.0), labelled

    @cached_property
    def _mirrored(self) -> npt.NDArray[Any]:
        return np.array(self.skeleton.flip_permutation, dtype=np.int64)
