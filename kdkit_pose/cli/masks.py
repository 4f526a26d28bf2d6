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
from kdkit_pose.cli.another_run import options_named
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import require_with
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.loading import content_of_weights
from kdkit_pose.cli.option_groups import MaskFitting
from kdkit_pose.cli.outputs import check_outputs
from kdkit_pose.cli.show import describe_data, show_doubtful_masks
from kdkit_pose.cli.training_data import digest_of_pictures
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.fit import check_run_folder
from kdkit_pose.masks.saving import describe as describe_predictor
from kdkit_pose.skeleton_category import COCO_LIKE


@grouped
def train_masks(
    *,
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
    input_size: Annotated[
        str, typer.Option(help="Height x width of the predictor's input, in pixels.")
    ] = "256x192",
    threshold: Annotated[float, typer.Option(help="The probability from which on a pixel is the person's.")] = 0.5,
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    epochs: options.Epochs = 40,
    fitting: MaskFitting,
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
    settings = fitting.settings
    # No OKS is computed: rough sigmas do.
    body = skeleton_of(train_annotations, skeleton, sigmas or COCO_LIKE)
    torch.manual_seed(fitting.seed)
    predictor = masks.MaskPredictor(architecture, encoder, _size(input_size), threshold)
    config = {
        "encoder_weights": content_of_weights(encoder_weights),
        "augment": fitting.augment,
        "epochs": epochs,
    }
    with options_named(out, "--architecture"):
        check_run_folder(out, settings, {**config, "model": describe_predictor(predictor)})
        if encoder_weights is not None:
            console.print(masks.load_encoder_weights(predictor, encoder_weights), markup=False)
        # A mask is as good to learn from, and to be judged by, where no keypoint is labelled.
        train = CocoKeypoints(
            *(train_annotations, images),
            codec=predictor.codec,
            skeleton=body,
            augment=masks.AUGMENT if fitting.augment else None,
            seed=fitting.seed,
            unlabelled="keep",
        )
        val = CocoKeypoints(
            *(val_annotations, val_images or images),
            codec=predictor.codec,
            skeleton=body,
            unlabelled="keep",
        )
        for data, what in ((train, "training persons"), (val, "held-out persons")):
            described = f"{describe_data(data, what)}\n  with a mask of their own: {sum(data.own_masks)}"
            console.print(described, markup=False)
        known = {"pictures": digest_of_pictures(train), "val_pictures": digest_of_pictures(val)}
        given = {
            "train_annotations": str(train_annotations),
            "val_annotations": str(val_annotations),
            "images": str(images),
            "val_images": str(val_images or images),
            **({"encoder_weights": encoder_weights} if encoder_weights else {}),
        }
        scores = masks.fit_masks(
            *(predictor, train, val, out, settings),
            epochs=epochs,
            config={**config, **known},
            notes={"files": given},
        )
    console.print(f"{scores}\nwritten: {out / 'student.safetensors'}")
    show_doubtful_masks(scores, console)


def predict_masks(
    context: typer.Context,
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
    require_with(context, ["boxes"], ["box_threshold"])
    if boxes is not None and everyone:
        raise ConfigurationError("--all would change nothing: --boxes have no masks of their own; leave it out")
    read = {"--annotations": annotations, "--boxes": boxes, "--checkpoint": checkpoint, "--skeleton": skeleton}
    check_outputs({"--out": out}, {**read, "--sigmas": sigmas})
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
    told = Console(highlight=False, soft_wrap=True)
    told.print(f"masks of {len(predicted)} {what} predicted by {predicted.source}\nwritten: {out}", markup=False)
    show_doubtful_masks(predicted.source, told)


def _size(text: str | None) -> tuple[int, int]:
    """Width and height of ``256x192``, height first."""
    codec = options.build_codec(None, text, None)
    return codec.input_size
