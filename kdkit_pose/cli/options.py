"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdkit import ConfigurationError
from kdkit_pose import codecs
from kdkit_pose.codecs import Codec, Decoder


class Precision(StrEnum):
    """Autocast of the student."""

    no = "no"
    bf16 = "bf16"
    fp16 = "fp16"


class Performance(StrEnum):
    """How a step is computed."""

    default = "default"
    max = "max"


class Rate(StrEnum):
    """The learning rate over the run."""

    step = "step"
    cosine = "cosine"
    constant = "constant"


class Export(StrEnum):
    """Which student is written."""

    best = "best"
    last = "last"


TrainAnnotations = Annotated[Path, typer.Option(help="COCO-format keypoint annotations to train on.")]
Images = Annotated[Path, typer.Option(help="Folder of the pictures.")]
ValAnnotations = Annotated[
    Path | None, typer.Option(help="COCO-format keypoint annotations to evaluate on, with ground-truth boxes.")
]
ValImages = Annotated[Path | None, typer.Option(help="Folder of the validation pictures, where it is another.")]
Out = Annotated[Path, typer.Option(help="The run's folder; a run that is there already is gone on with.")]
CodecName = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help=f"Heatmap codec: {', '.join(codecs.names())}. By default what a file says; else dark, but msra for "
        "files laid out as the official ones, except in train.",
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        help="Height x width of the network's input, in pixels. By default what a file says, else 256x192."
    ),
]
Sigma = Annotated[
    float | None,
    typer.Option(
        help="Standard deviation of the heatmaps' Gaussian, in cells. By default what a file says, else 2, and 3 "
        "from 384 pixels of height on."
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs, over all stages.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Persons an optimizer step.")]
LearningRate = Annotated[float, typer.Option(help="Adam's learning rate.")]
ScheduleName = Annotated[
    Rate, typer.Option("--schedule", help="Learning rate: x0.1 at 81% and 95% (step), cosine, or constant.")
]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read samples; 0 reads in this one.")]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        help="Autocast while training; by default no, or with --performance max bf16 on a GPU made for it.",
    ),
]
PerformanceOption = Annotated[
    Performance,
    typer.Option("--performance", help="max: all that makes a step faster and changes no more than rounding."),
]
Ema = Annotated[float | None, typer.Option(help="Decay of a moving average of the network, 0.999 say.")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write curves for TensorBoard, into logs/ of the run's folder.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of initial weights, sample order and augmentation.")]
EvaluateEvery = Annotated[int, typer.Option(min=1, help="Epochs between evaluations.")]
CheckpointSteps = Annotated[
    int | None,
    typer.Option(min=1, help="Optimizer steps between checkpoints inside an epoch; there is one at its end."),
]
Keep = Annotated[
    int,
    typer.Option(min=1, help="How many of the newest checkpoints stay: beside the newest, one to fall back to."),
]
Spike = Annotated[
    float | None,
    typer.Option("--spike", help="Tell of a loss that is more than so many times its running mean, 10 say."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Load everything, do one step of each stage, one evaluation and one checkpoint, in another folder, "
        "say what was seen, and stop.",
    ),
]
Augmentation = Annotated[bool, typer.Option("--augment/--no-augment", help="Scale, rotate, flip, half body.")]
ExportOption = Annotated[
    Export, typer.Option("--export", help="Which epoch's student is written; best is by val/AP.")
]
SkeletonOption = Annotated[
    str | None,
    typer.Option(
        "--skeleton",
        help="The keypoints: coco, crowdpose, or a JSON file whose categories list them; by default what the "
        "annotations' category lists.",
    ),
]
SigmasOption = Annotated[
    str | None,
    typer.Option(
        "--sigmas",
        help="OKS constants of keypoints that are not COCO's or CrowdPose's: numbers parted by commas, a file of "
        "them, or coco-like for a rough choice.",
    ),
]
TrainBoxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        help="A detector's boxes, in COCO's result format, to train on without labels: teachers alone teach them.",
    ),
]
BoxThreshold = Annotated[float, typer.Option("--box-threshold", help="Leave out boxes of a lower score.")]
KeepUnlabelled = Annotated[
    bool, typer.Option("--keep-unlabelled", help="Also persons without a labelled keypoint, for teachers alone.")
]
PredictedMasks = Annotated[
    Path | None,
    typer.Option("--predicted-masks", help="Masks for persons without one, made by kdkit-pose predict-masks."),
]
ValPredictedMasks = Annotated[
    Path | None, typer.Option("--val-predicted-masks", help="The same for the validation persons.")
]
Packed = Annotated[
    Path | None,
    typer.Option(
        "--packed",
        help="What kdkit-pose pack made of the training persons, to be read in place of decoding their pictures.",
    ),
]
Shards = Annotated[
    Path | None,
    typer.Option(
        "--shards",
        help="What kdkit-pose shard made of the training persons, to be read one shard after the other.",
    ),
]
Lanes = Annotated[
    int | None,
    typer.Option(
        "--lanes",
        min=1,
        help="Places of the shards that a batch is read from at once: a multiple of the processes, of which "
        "--batch-size is a multiple. By default up to 8.",
    ),
]
Buffer = Annotated[
    int, typer.Option("--buffer", min=0, help="Persons of the shards that are held in memory, to be shuffled.")
]
Pretrained = Annotated[
    str | None,
    typer.Option(
        "--pretrained",
        help="Start the trunk, not the head, from a file: an ImageNet classifier's or another pose network's; or "
        "hub to let timm fetch a classifier's.",
    ),
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this JSON file.")]


def build_codec(
    name: str | None,
    input_size: str | None,
    sigma: float | None,
    *,
    known: Codec | None = None,
    decoder: Decoder | None = None,
) -> Codec:
    """Return the codec that options describe; what they leave open is taken from a known codec, or a default.

    Args:
        name: the codec's name; DARK by default.
        input_size: as ``256x192``, height first, as the field writes it; 256x192 by default.
        sigma: by default the known codec's if the size is its own; else 2 cells, 3 for inputs 384 pixels high or
            more.
        known: the codec of a checkpoint.
        decoder: by default the known codec's, or ``peak``.

    Raises:
        ConfigurationError: if a value cannot be used.
    """
    size = known.input_size if known else (192, 256)
    if input_size is not None:
        try:
            height, width = (int(part) for part in input_size.lower().split("x"))
        except ValueError as error:
            raise ConfigurationError(
                f"--input-size '{input_size}' must be height x width in pixels, for example 256x192"
            ) from error
        size = (width, height)
    if sigma is None:
        sigma = known.sigma if known and size == known.input_size else 3.0 if size[1] >= 384 else 2.0
    if decoder is None:
        decoder = known.decoder if known else "peak"
    if name is None:
        name = known.name if known else "dark"
    return codecs.create(name.lower(), size, sigma, decoder)
