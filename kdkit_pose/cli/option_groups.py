"""Options that belong together, for commands under :func:`kdkit_pose.cli.grouped.grouped`."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from kdkit_pose.cli import options
from kdkit_pose.fit import FitSettings


@dataclass(frozen=True)
class Fitting:
    """How to train, but for how long."""

    batch_size: options.BatchSize = 32
    learning_rate: options.LearningRate = 1e-3
    schedule: options.ScheduleName = options.Rate.step
    augment: options.Augmentation = True
    evaluate_every: options.EvaluateEvery = 10
    export: options.ExportOption = options.Export.best
    checkpoint_steps: options.CheckpointSteps = None
    keep: options.Keep = 2
    ema: options.Ema = None
    precision: options.PrecisionOption = None
    performance: options.PerformanceOption = options.Performance.default
    workers: options.Workers = 0
    tensorboard: options.TensorBoard = False
    spike: options.Spike = None
    seed: options.Seed = 0

    @property
    def settings(self) -> FitSettings:
        """What trains takes them as; the data set takes the augmentation."""
        return FitSettings(
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule.value,
            workers=self.workers,
            precision=None if self.precision is None else self.precision.value,
            performance=self.performance.value,
            ema=self.ema,
            seed=self.seed,
            evaluate_every=self.evaluate_every,
            export=self.export.value,
            checkpoint_steps=self.checkpoint_steps,
            keep=self.keep,
            tensorboard=self.tensorboard,
            spike=self.spike,
        )


@dataclass(frozen=True)
class MaskFitting(Fitting):
    """How to train a predictor of masks."""

    schedule: options.ScheduleName = options.Rate.cosine
    evaluate_every: options.EvaluateEvery = 5
    export: Annotated[
        options.Export, typer.Option("--export", help="Which epoch's predictor is written; best is by val/IoU.")
    ] = options.Export.best


@dataclass(frozen=True)
class DataFiles:
    """What to train and to evaluate on."""

    train_annotations: options.TrainAnnotations
    images: options.Images
    packed: options.Packed = None
    skeleton: options.SkeletonOption = None
    sigmas: options.SigmasOption = None
    val_annotations: options.ValAnnotations = None
    val_images: options.ValImages = None
    predicted_masks: options.PredictedMasks = None
    val_predicted_masks: options.ValPredictedMasks = None
    shards: options.Shards = None
    lanes: options.Lanes = None
    buffer: options.Buffer = 1024


NEED_VALIDATION = ("val_images", "val_predicted_masks", "evaluate_every")
"""What is of no use without validation annotations."""
MASK_FILES = ("predicted_masks", "val_predicted_masks")
"""What is of no use without a network that reads masks."""
NO_MASKS = "no network here reads masks; leave it out"


@dataclass(frozen=True)
class UnlabelledPersons:
    """Whom teachers alone teach."""

    boxes: options.TrainBoxes = None
    box_threshold: options.BoxThreshold = 0.0
    keep_unlabelled: options.KeepUnlabelled = False

    @property
    def any(self) -> bool:
        """Whether there are such persons."""
        return self.keep_unlabelled or self.boxes is not None

    def to_config(self) -> dict[str, Any]:
        """Return what names a run."""
        return {
            "boxes": self.boxes is not None,
            "box_threshold": self.box_threshold,
            "keep_unlabelled": self.keep_unlabelled,
        }


@dataclass(frozen=True)
class CodecChoice:
    """What the heatmaps mean."""

    codec: options.CodecName = None
    input_size: options.InputSize = None
    sigma: options.Sigma = None
