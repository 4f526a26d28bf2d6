"""``kdkit-pose train``."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from kdkit_pose import models, recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import training_data, validation
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.show import describe_data, show_result
from kdkit_pose.fit import FitSettings, fit


def train(
    model: Annotated[str, typer.Option(help=f"The network: {', '.join(models.names())}.")],
    train_annotations: options.TrainAnnotations,
    images: options.Images,
    out: options.Out,
    val_annotations: options.ValAnnotations = None,
    val_images: options.ValImages = None,
    mask_fusion: Annotated[
        str, typer.Option(help="How the person's mask enters: none, concat, multiply or add.")
    ] = "none",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights to start from: kdkit's, official or mmpose HRNet.")
    ] = None,
    codec: options.CodecName = None,
    input_size: options.InputSize = None,
    sigma: options.Sigma = None,
    epochs: options.Epochs = 210,
    batch_size: options.BatchSize = 32,
    learning_rate: options.LearningRate = 1e-3,
    schedule: options.ScheduleName = options.Rate.step,
    augment: options.Augmentation = True,
    evaluate_every: options.EvaluateEvery = 10,
    export: options.ExportOption = options.Export.best,
    ema: options.Ema = None,
    precision: options.PrecisionOption = options.Precision.no,
    workers: options.Workers = 0,
    tensorboard: options.TensorBoard = False,
    seed: options.Seed = 0,
) -> None:
    """Train a teacher, or a plain student, on ground truth.

    \b
    Example:
      kdkit-pose train --model hrnet_w32 --out runs/w32 \\
        --train-annotations person_keypoints_train2017.json --images train2017 \\
        --val-annotations person_keypoints_val2017.json --val-images val2017
    """
    scheme = build_codec(codec, input_size, sigma)
    torch.manual_seed(seed)
    network = models.create(model, mask_fusion=mask_fusion)
    console = Console()
    if checkpoint is not None:
        console.print(str(models.load_checkpoint(network, checkpoint)), highlight=False, soft_wrap=True)
    data = training_data(
        train_annotations, images, scheme, augment=augment, masks="mask" in network.inputs, seed=seed
    )
    console.print(describe_data(data, "training persons"), highlight=False, soft_wrap=True)
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
    result = fit(
        network,
        recipes.supervised(until=epochs, learning_rate=settings.rate()),
        data,
        out,
        settings,
        evaluator=validation(val_annotations, val_images or images, scheme, masks="mask" in network.inputs),
        config={
            "train_annotations": str(train_annotations),
            "images": str(images),
            "checkpoint": str(checkpoint) if checkpoint else None,
        },
    )
    show_result(result, console)
