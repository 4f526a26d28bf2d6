"""The whole evaluation of a network as one callable, for a trainer to call after an epoch."""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from pycocotools.coco import COCO as CocoDataset
from torch import nn

from kdkit.errors import DataError
from kdkit.processes import Processes
from kdkit_pose.codecs import Codec, Decoder
from kdkit_pose.convention import require_convention
from kdkit_pose.data.categories import person_categories
from kdkit_pose.data.skipped import Skipped
from kdkit_pose.evaluation.annotations import Annotations, load_annotations
from kdkit_pose.evaluation.metrics import Boxes, Metrics, coco_metrics
from kdkit_pose.evaluation.nms import oks_nms
from kdkit_pose.evaluation.predict import Result, predict
from kdkit_pose.skeleton import COCO, Skeleton


class Evaluator:
    """Predicts, drops near duplicates and scores: ``evaluator(module)`` gives ``{"val/AP": 0.7, ...}``.

    Where torch's process group has several processes, all must call it: each predicts its part of the batches,
    and all score the whole.

    Args:
        loader: Gives the same batches whenever it is gone through; see :func:`predict`.
        annotations: The ground truth; read once, here. All its pictures count: a person of a picture that the
            loader does not show, because the file is missing or cannot be read, is one that was not found. See
            ``CocoKeypoints.image_ids`` for the pictures that are there.
        codec: The convention that the network was trained with.
        skeleton: The keypoints of data set and network.
        flip: Average with the mirrored input's maps.
        boxes: Where the loader's boxes come from.
        prefix: Put before each metric's name.
        device: Where to run; by default where the network is.
        watch: Called with the batches before they are gone through, gives them on: for a progress bar.

    Raises:
        DataError: The annotations cannot be used, or have several categories with keypoints.
        ConfigurationError: The loader's crops, or later a network, are another codec's; only the decoder may
            differ.
    """

    def __init__(
        self,
        loader: Iterable[Mapping[str, Any]],
        annotations: Annotations,
        codec: Codec,
        *,
        skeleton: Skeleton = COCO,
        flip: bool = True,
        boxes: Boxes = "ground truth",
        prefix: str = "val/",
        device: torch.device | str | None = None,
        watch: Callable[[Iterable[Mapping[str, Any]]], Iterable[Mapping[str, Any]]] | None = None,
    ) -> None:
        require_convention(loader, codec)
        self._loader = loader
        self._annotations = load_annotations(annotations, skeleton)
        self._category_id = _one_category(self._annotations)
        self._codec = codec
        self._skeleton = skeleton
        self._flip = flip
        self._boxes: Boxes = boxes
        self._prefix = prefix
        self._device = device
        self._watch = watch
        # Kept between evaluations, since a loader's workers may stay.
        self._parts: dict[tuple[int, int], Iterable[Mapping[str, Any]] | None] = {}
        self._undefined: float | None = None

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """The metrics of ``module``, fractions by prefixed name; those that are undefined are left out."""
        found = self.metrics(module)
        metrics = {name: self._undefined if value is None else value for name, value in found.items()}
        return {self._prefix + name: value for name, value in metrics.items() if isinstance(value, float)}

    @property
    def codec(self) -> Codec:
        """The convention that networks are evaluated by."""
        return self._codec

    @property
    def skeleton(self) -> Skeleton:
        """The keypoints of ground truth and networks."""
        return self._skeleton

    def decoded_by(self, decoder: Decoder) -> "Evaluator":
        """The same evaluation with another decoder, for a network that the data's own would misread."""
        other = copy.copy(self)
        other._codec = replace(self._codec, decoder=decoder)
        return other

    def few(self, persons: int) -> "Evaluator":
        """The same evaluation on the first persons alone, which are read now: to see that all goes through.

        With a detector's boxes, all that is annotated in their pictures counts. Metrics that are undefined for so
        few are NaN, and not left out.
        """
        first = next(iter(self._loader))
        batch = {name: value[:persons] for name, value in first.items()}
        pictures, ids = set(batch["image_id"].tolist()), set(batch["id"].tolist())
        whole, of_truth = self._annotations.dataset, self._boxes == "ground truth"
        other = copy.copy(self)
        other._loader, other._parts, other._undefined = [batch], {}, math.nan
        other._annotations = load_annotations(
            {
                **whole,
                "images": [image for image in whole["images"] if image["id"] in pictures],
                "annotations": [
                    one
                    for one in whole["annotations"]
                    if one["image_id"] in pictures and (one["id"] in ids or not of_truth)
                ],
            },
            self._skeleton,
        )
        return other

    @property
    def left_out(self) -> dict[str, int]:
        """What the loader's data set left out, counted by reason; nothing where it does not say."""
        skipped = getattr(getattr(self._loader, "dataset", None), "skipped", None)
        return dict(skipped.left_out.counts) if isinstance(skipped, Skipped) else {}

    def fingerprint(self) -> str:
        """A SHA-256 of the ground truth and, where the loader's data set has one, of its fingerprint."""
        truth = {key: self._annotations.dataset[key] for key in ("images", "annotations", "categories")}
        digest = hashlib.sha256(json.dumps(truth, sort_keys=True, default=str).encode())
        of_data = getattr(getattr(self._loader, "dataset", None), "fingerprint", None)
        if of_data is not None:
            digest.update(of_data().encode())
        return digest.hexdigest()

    def metrics(self, module: nn.Module) -> Metrics:
        """The metrics of ``module`` as :func:`coco_metrics` gives them, with the boxes' source."""
        return self.score(self.results(module))

    def results(self, module: nn.Module) -> list[Result]:
        """The COCO results of ``module`` without near duplicates: what is scored and can be written."""
        processes = Processes.current()
        own = self._part_of(processes)
        batches = self._loader if own is None else own
        found = predict(
            module,
            batches if self._watch is None else self._watch(batches),
            self._codec,
            skeleton=self._skeleton,
            flip=self._flip,
            device=self._device,
            category_id=self._category_id,
        )
        if own is not None:
            found = [result for part in processes.gathered(found) for result in part]
        return oks_nms(found, self._skeleton.sigmas)

    def _part_of(self, processes: Processes) -> Iterable[Mapping[str, Any]] | None:
        """This process's batches; None where their number is not known, so that every process predicts all."""
        key = processes.rank, processes.count
        if key not in self._parts:
            self._parts[key] = processes.part_of(self._loader)
        return self._parts[key]

    def score(self, results: list[Result]) -> Metrics:
        """The metrics of ``results``, so that one run of the network can be both scored and written."""
        return coco_metrics(self._annotations, results, skeleton=self._skeleton, boxes=self._boxes)

    def score_pictures(self, results: list[Result], pictures: Collection[int]) -> Metrics:
        """The metrics of ``results`` on some of the pictures, by their ids, as if there were no others."""
        whole = self._annotations.dataset
        part = {
            **whole,
            "images": [image for image in whole["images"] if image["id"] in pictures],
            "annotations": [one for one in whole["annotations"] if one["image_id"] in pictures],
        }
        found = [result for result in results if result["image_id"] in pictures]
        return coco_metrics(part, found, skeleton=self._skeleton, boxes=self._boxes)

    def __repr__(self) -> str:
        return (
            f"Evaluator({len(self._annotations.imgs)} images, {self._codec!r}, "
            f"skeleton={self._skeleton.name!r}, flip={self._flip}, boxes={self._boxes!r})"
        )


def _one_category(truth: CocoDataset) -> int:
    """The id of the persons' category."""
    persons = person_categories(truth.dataset, "the ground truth")
    if len(persons) > 1:
        raise DataError(
            f"the ground truth has {len(persons)} categories with keypoints ({', '.join(persons.values())}), and "
            "a network that finds keypoints does not tell them apart: leave one, or give all the same category_id"
        )
    return next(iter(persons))
