"""COCO's persons, and the networks that look at them, all by one codec."""

import argparse
from functools import cached_property
from pathlib import Path
from typing import Any

from accelerate import PartialState

from kdkit import DataError
from kdkit_pose import Augment, CocoKeypoints, Evaluator, codecs, loader, models
from kdkit_pose.codecs import Codec
from kdkit_pose.data import PackedKeypoints, PoseDataset, pack
from kdkit_pose.evaluation import Boxes
from kdkit_pose.models import PoseNetwork


class Persons:
    """The persons that the options name.

    Args:
        options: as ``parse_options`` gives them.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    @cached_property
    def codec(self) -> Codec:
        """What everyone's heatmaps mean: as options say, else a teacher's file, else the official repository."""
        options = self.options
        asked = {"name": options.codec, "input_size": options.input_size, "sigma": options.sigma}
        given = {name: value for name, value in asked.items() if value is not None}
        for path in (options.primary, options.senior, options.senior_rgb) if not given else ():
            if path is not None and "codec" in (said := models.recognise(path).metadata):
                return codecs.from_metadata({**said, "codec_decoder": "peak"})
        return codecs.create(**{"name": "msra", **given})

    def load(self, path: Path) -> PoseNetwork:
        """The network of a file; an official one does not say its codec."""
        network = models.load(path)
        network.codec = network.codec or self.codec
        return network

    def train(self, *, masks: bool, canonical: bool = False) -> PoseDataset:
        """The training persons: whatever else they are given, the same views of them."""
        options = self.options
        views: dict[str, Any] = {"augment": Augment(), "seed": options.seed, "canonical": canonical}
        if self.packed is not None:
            return PackedKeypoints(self.packed, codec=self.codec, masks=masks, **views)
        return CocoKeypoints(
            *(options.train_annotations, options.train_images), codec=self.codec, masks=masks, **views
        )

    @cached_property
    def packed(self) -> Path | None:
        """The folder of packed persons, if one is wanted; made, or gone on with, where it is not whole."""
        options = self.options
        if options.packed is None:
            return None
        everyone = CocoKeypoints(options.train_annotations, options.train_images, codec=self.codec)
        print(f"packed persons: {options.packed}", flush=True)
        with PartialState().main_process_first():  # the others find it packed
            return pack(everyone, options.packed, workers=options.workers)

    def evaluator(self, codec: Codec, *, masks: bool = False, boxes: Boxes = "ground truth") -> Evaluator:
        """What judges networks on the validation persons.

        Raises:
            DataError: pictures are missing; whoever is in them would count as not found.
        """
        options = self.options
        detected = options.boxes if boxes == "detector" else None
        data = CocoKeypoints(
            *(options.val_annotations, options.val_images), codec=codec, boxes=detected, masks=masks
        )
        truth = data.coco_dict()
        if missing := len(truth["images"]) - len(data.image_ids):
            raise DataError(f"{missing} pictures of '{options.val_annotations}' are missing: check --val-images")
        return Evaluator(loader(data, options.batch_size, workers=options.workers), truth, codec, boxes=boxes)
