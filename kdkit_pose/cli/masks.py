"""``kdkit-pose train-masks`` and ``kdkit-pose predict-masks``."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress

from kdkit import ConfigurationError
from kdkit_pose import masks
from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.show import describe_data
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.fit import FitSettings
from kdkit_pose.skeleton_category import COCO_LIKE


def train_masks(
    train_annotations: options.TrainAnnotations,
    images: options.Images,
    val_annotations: Annotated[
        Path, typer.Option(help="COCO-format keypoint annotations to measure it on: other persons.")
    ],
    out: options.Out,
    val_images: options.ValImages = None,
    architecture: Annotated[str, typer.Option(help=f"The network: {', '.join(masks.ARCHITECTURES)}.")] = "fpn",
    encoder: Annotated[
        str, typer.Option(help="Its encoder: any timm model with features_only.")
    ] = "mobilenetv3_large_100",
    encoder_weights: Annotated[
        str | None,
        typer.Option(
            help="Start the encoder from ImageNet: a file of timm's weights, or hub to let timm fetch it."
        ),
    ] = None,
    input_size: options.InputSize = "256x192",
    threshold: Annotated[float, typer.Option(help="The probability from which on a pixel is the person's.")] = 0.5,
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    epochs: options.Epochs = 40,
    batch_size: options.BatchSize = 32,
    learning_rate: options.LearningRate = 1e-3,
    schedule: options.ScheduleName = options.Rate.cosine,
    augment: options.Augmentation = True,
    evaluate_every: options.EvaluateEvery = 5,
    export: Annotated[
        options.Export, typer.Option("--export", help="Which epoch's predictor is written; best is by val/IoU.")
    ] = options.Export.best,
    ema: options.Ema = None,
    precision: options.PrecisionOption = options.Precision.no,
    workers: options.Workers = 0,
    tensorboard: options.TensorBoard = False,
    seed: options.Seed = 0,
) -> None:
    """Train a predictor of persons' masks on a data set's own masks.

    predict-masks then makes masks for data that has none.

    \b
    Example:
      kdkit-pose train-masks --out runs/masks \\
        --train-annotations person_keypoints_train2017.json --images train2017 \\
        --val-annotations person_keypoints_val2017.json --val-images val2017
    """
    console = Console(highlight=False, soft_wrap=True)
    settings = FitSettings(
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule.value,
        workers=workers,
        precision=precision.value,
        ema=ema,
        seed=seed,
        evaluate_every=evaluate_every,
        export=export.value,
        tensorboard=tensorboard,
    )
    # No OKS is computed: rough sigmas do.
    body = skeleton_of(train_annotations, skeleton, sigmas or COCO_LIKE)
    torch.manual_seed(seed)
    predictor = masks.MaskPredictor(architecture, encoder, _size(input_size), threshold)
    if encoder_weights is not None:
        console.print(masks.load_encoder_weights(predictor, encoder_weights), markup=False)
    varied = masks.AUGMENT if augment else None
    train = CocoKeypoints(
        *(train_annotations, images),
        codec=predictor.codec,
        skeleton=body,
        augment=varied,
        seed=seed,
        # A mask is as good to learn from where no keypoint is labelled.
        unlabelled="keep",
    )
    val = CocoKeypoints(val_annotations, val_images or images, codec=predictor.codec, skeleton=body)
    for data, what in ((train, "training persons"), (val, "held-out persons")):
        described = f"{describe_data(data, what)}\n  with a mask of their own: {sum(data.own_masks)}"
        console.print(described, markup=False)
    scores = masks.fit_masks(
        *(predictor, train, val, out, settings),
        epochs=epochs,
        config={
            "train_annotations": str(train_annotations),
            "val_annotations": str(val_annotations),
            "images": str(images),
            "encoder_weights": encoder_weights,
        },
    )
    console.print(f"{scores}\nwritten: {out / 'student.safetensors'}")
    if scores.iou <= scores.box:
        console.print("warning: the box itself is the better mask; train longer, or on more persons")


def predict_masks(
    checkpoint: Annotated[Path, typer.Option(help="The predictor's file, by train-masks.")],
    annotations: Annotated[Path, typer.Option(help="COCO-format keypoint annotations.")],
    images: options.Images,
    out: Annotated[Path, typer.Option(help="The file of masks to write, JSON.")],
    boxes: Annotated[
        Path | None, typer.Option(help="Predict masks in a detector's boxes, in COCO's result format.")
    ] = None,
    box_threshold: options.BoxThreshold = 0.0,
    everyone: Annotated[
        bool, typer.Option("--all", help="Also for persons that have a mask, to compare; theirs stays in use.")
    ] = False,
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Persons at a time.")] = 64,
    workers: options.Workers = 0,
) -> None:
    """Predict masks for persons who have none, into a file beside the data.

    train, distill and evaluate take it as --predicted-masks, and say so in what they report.

    \b
    Example:
      kdkit-pose predict-masks --checkpoint runs/masks/student.safetensors \\
        --annotations crowdpose_test.json --images images \\
        --out crowdpose_test_masks.json
    """
    if out.exists() and out.resolve() in {path.resolve() for path in (annotations, boxes, checkpoint) if path}:
        raise ConfigurationError(f"--out {out} would replace what is read: name another file")
    console = Console(stderr=True)
    loaded = masks.load(checkpoint)
    loaded.predictor.to("cuda" if torch.cuda.is_available() else "cpu")
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("predicting masks")
        predicted = masks.predict_masks(
            *(loaded, annotations, images),
            boxes=boxes,
            box_threshold=box_threshold,
            # No OKS is computed: rough sigmas do.
            skeleton=skeleton_of(annotations, skeleton, sigmas or COCO_LIKE),
            everyone=everyone,
            batch_size=batch_size,
            workers=workers,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    predicted.save(out)
    what = "persons" if boxes is None else "boxes"
    Console(highlight=False, soft_wrap=True).print(
        f"masks of {len(predicted)} {what} predicted by {predicted.source}\nwritten: {out}", markup=False
    )


def _size(text: str | None) -> tuple[int, int]:
    """Width and height of ``256x192``, height first."""
    codec = options.build_codec(None, text, None)
    return codec.input_size
