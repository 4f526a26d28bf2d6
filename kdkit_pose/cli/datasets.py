"""Data sets and evaluators from options."""

from pathlib import Path

from kdkit_pose.codecs import Codec
from kdkit_pose.data import Augment, CocoKeypoints, loader
from kdkit_pose.evaluation import Evaluator


def training_data(
    annotations: Path, images: Path, codec: Codec, *, augment: bool, masks: bool, seed: int
) -> CocoKeypoints:
    """Return the training persons, augmented as the reference does, or not at all."""
    return CocoKeypoints(
        annotations, images, codec=codec, augment=Augment() if augment else None, masks=masks, seed=seed
    )


def validation(annotations: Path | None, images: Path, codec: Codec, *, masks: bool) -> Evaluator | None:
    """Return what evaluates with ground-truth boxes, or None without annotations."""
    if annotations is None:
        return None
    data = CocoKeypoints(annotations, images, codec=codec, masks=masks)
    return Evaluator(loader(data, 64), annotations, codec)
