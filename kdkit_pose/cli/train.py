"""``kdkit-pose train``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit_pose import codecs, models, recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import evaluator_of, skeleton_of, training_data, validation_data
from kdkit_pose.cli.loading import describe_file, skeleton_in
from kdkit_pose.cli.masks_needed import require_masks
from kdkit_pose.cli.new_network import new_network
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.show import describe_data, show_result, show_unused_masks
from kdkit_pose.codecs import Codec
from kdkit_pose.fit import FitSettings, fit


def train(
    model: Annotated[str, typer.Option(help=f"The network: {', '.join(models.names())}.")],
    train_annotations: options.TrainAnnotations,
    images: options.Images,
    out: options.Out,
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    val_annotations: options.ValAnnotations = None,
    val_images: options.ValImages = None,
    predicted_masks: options.PredictedMasks = None,
    val_predicted_masks: options.ValPredictedMasks = None,
    mask_fusion: Annotated[
        str, typer.Option(help="How the person's mask enters: none, concat, multiply or add.")
    ] = "none",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights to start from: kdkit's, official or mmpose's.")
    ] = None,
    pretrained: options.Pretrained = None,
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
    console = Console(highlight=False, soft_wrap=True)
    body = skeleton_of(train_annotations, skeleton, sigmas, known=skeleton_in(checkpoint))
    network = new_network(
        *(model, body, seed, console), mask_fusion=mask_fusion, checkpoint=checkpoint, pretrained=pretrained
    )
    scheme, known = _codec(checkpoint, codec, input_size, sigma)
    console.print(f"heatmaps: {scheme} ({known})", markup=False)
    masks = "mask" in network.inputs
    if not masks:
        show_unused_masks(console, predicted_masks=predicted_masks, val_predicted_masks=val_predicted_masks)
    data = training_data(
        *(train_annotations, images, scheme),
        augment=augment,
        masks=masks,
        seed=seed,
        skeleton=body,
        predicted_masks=predicted_masks,
    )
    console.print(describe_data(data, "training persons"), markup=False)
    require_masks(data, model, "--predicted-masks")
    held_out = validation_data(
        *(val_annotations, val_images or images, scheme),
        masks=masks,
        skeleton=body,
        predicted_masks=val_predicted_masks,
    )
    if held_out is not None:
        console.print(describe_data(held_out, "validation persons"), markup=False)
        require_masks(held_out, model, "--val-predicted-masks")
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
        recipes.supervised(until=epochs, learning_rate=settings.rate(), outputs=network.heatmap_outputs),
        data,
        out,
        settings,
        evaluator=None if held_out is None else evaluator_of(held_out),
        config={
            "train_annotations": str(train_annotations),
            "images": str(images),
            "predicted_masks": data.masks_predicted.to_json() if data.masks_predicted else None,
            "val_annotations": str(val_annotations) if val_annotations else None,
            "codec": scheme.to_metadata(),
            "augment": augment,
            "val_predicted_masks": describe_file(val_predicted_masks) if val_predicted_masks else None,
            "checkpoint": str(checkpoint) if checkpoint else None,
            "pretrained": pretrained,
        },
    )
    show_result(result, console)


def _codec(
    checkpoint: Path | None, name: str | None, input_size: str | None, sigma: float | None
) -> tuple[Codec, str]:
    """Return the codec to train with, and how it is known: options, else the checkpoint's, else the default."""
    metadata = {} if checkpoint is None else models.recognise(checkpoint).metadata
    known = replace(codecs.from_metadata(metadata), decoder="peak") if "codec" in metadata else None
    scheme = build_codec(name, input_size, sigma, known=known)
    if known is None:
        return scheme, "as asked for" if name is not None else "the default; see --codec and --input-size"
    if scheme == known:
        return scheme, f"as {checkpoint} says"
    return scheme, f"as asked for; {checkpoint} was trained for {known}"
