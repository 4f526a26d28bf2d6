"""``kdkit-pose predict``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track

from kdkit import ConfigurationError, DataError
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.loading import LoadedNetwork, check_codec, check_skeleton, load_network
from kdkit_pose.cli.options import CodecName, InputSize, Sigma, SkeletonOption, build_codec
from kdkit_pose.codecs import Codec, Decoder
from kdkit_pose.prediction import Drawing, PredictionFolder, Predictor, find_pictures
from kdkit_pose.prediction.batch import Batch
from kdkit_pose.prediction.boxes import BoxFile, read_boxes, read_pictures
from kdkit_pose.skeleton import COCO, Skeleton
from kdkit_pose.skeleton_category import COCO_LIKE


def predict(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, and folders with all pictures below them.")
    ],
    checkpoint: Annotated[Path, typer.Option(help="The network's file.")],
    out: Annotated[Path, typer.Option(help="Folder for results.json, overlays and predictions.html.")],
    model: Annotated[str | None, typer.Option(help="The network, where the file does not say it.")] = None,
    mask_fusion: Annotated[str, typer.Option(help="How the mask enters, where the file is silent.")] = "none",
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="Persons' boxes: COCO annotations, or a list in COCO's result format. Without it, each picture "
            "is taken for the box of one person."
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="COCO file that says which pictures the image ids of --boxes are.")
    ] = None,
    skeleton: SkeletonOption = None,
    codec: CodecName = None,
    input_size: InputSize = None,
    sigma: Sigma = None,
    decoder: Annotated[str | None, typer.Option(help="How to decode: peak or centroid.")] = None,
    flip: Annotated[bool, typer.Option(help="Average with the mirrored input's heatmaps.")] = True,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Keypoints and poses that score less are drawn faintly.")
    ] = 0.2,
    max_persons: Annotated[
        int | None, typer.Option(min=1, help="Take only so many boxes a picture, those of the highest scores.")
    ] = None,
    heatmaps: Annotated[bool, typer.Option("--heatmaps", help="Also write each person's heatmaps.")] = False,
    masks: Annotated[bool, typer.Option("--masks", help="Also draw the persons' masks in --boxes.")] = False,
    predicted_masks: Annotated[
        Path | None, typer.Option(help="Masks that were predicted for --boxes, for persons without one.")
    ] = None,
    enlarge: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels of an overlay in one of the picture; by its size by default."),
    ] = None,
    upright: Annotated[
        bool | None,
        typer.Option(
            "--upright/--as-stored",
            help="Turn pictures as their EXIF orientation says. By default they are, except with --boxes or "
            "--annotations, whose coordinates are those of the stored pixels.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Persons at a time.")] = 64,
) -> None:
    """Find people's keypoints in pictures, and draw them.

    Writes results.json (COCO keypoint results, and each picture's file_name), overlays/, and predictions.html, a
    page of all. Pictures that cannot be read are named and left out, and the exit code is 1.

    \b
    Example:
      kdkit-pose predict --checkpoint runs/odkd/student.safetensors \\
        --out predictions holiday.jpg photos/
    """
    files = find_pictures(images, leave_out=out)
    if boxes is None and (masks or predicted_masks is not None):
        raise ConfigurationError("--masks and --predicted-masks are of the persons in a box file: give --boxes")
    loaded = load_network(checkpoint, model, mask_fusion, "--model")
    listed = _listed(boxes, annotations, predicted_masks, masks=masks or "mask" in loaded.network.inputs)
    keypoints, skeleton_said = _skeleton(loaded, skeleton)
    scheme, codec_said = _codec(loaded, codec, input_size, sigma, decoder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    predictor = Predictor(loaded.network, scheme, keypoints, flip=flip, device=device, batch_size=batch_size)
    stored = boxes is not None or annotations is not None
    batch = Batch(
        predictor,
        files,
        listed,
        whole=boxes is None,
        upright=not stored if upright is None else upright,
        heatmaps=heatmaps,
        most=max_persons,
    )
    drawing = Drawing(score_threshold, enlarge, heatmaps, masks or predicted_masks is not None)
    folder = PredictionFolder(out, files, keypoints, scheme, drawing)
    err = Console(stderr=True)
    shown = track(files, "predicting", console=err, transient=True, disable=not err.is_terminal)
    for file in shown:
        batch.predict(file, folder)
    if not batch.report.pictures:
        raise DataError(f"none of the {len(files)} pictures can be read: {batch.report.unreadable[0]}")
    notes = [
        f"{loaded.network.name} of {checkpoint.name}, flip test {'on' if flip else 'off'}",
        f"{scheme} ({codec_said}); skeleton {keypoints.name} ({skeleton_said})",
        *batch.report.lines(),
    ]
    if leftovers := folder.leftovers():
        notes.append(f"{leftovers} drawings of an earlier prediction are still in the folder")
    folder.finish("Predictions", batch.report.summary(), notes)
    _say(Console(), [batch.report.summary(), *(f"  {note}" for note in notes), f"written: {out}"])
    if batch.report.unreadable:
        raise typer.Exit(1)


def _listed(
    boxes: Path | None, annotations: Path | None, predicted_masks: Path | None, *, masks: bool
) -> BoxFile | None:
    """What files say of the pictures, if there are any."""
    if boxes is not None:
        return read_boxes(boxes, annotations, masks=masks, predicted_masks=predicted_masks)
    return read_pictures(annotations) if annotations is not None else None


def _skeleton(loaded: LoadedNetwork, option: str | None) -> tuple[Skeleton, str]:
    """The network's skeleton, and how it is known."""
    if option is not None:
        # Sigmas only tell near duplicates here: rough ones do.
        asked = skeleton_of(Path(option), option, COCO_LIKE)
        check_skeleton(loaded, asked, f"--skeleton {option}")
        return (asked, "as asked for") if loaded.skeleton is None else (loaded.skeleton, "as the file says")
    if loaded.skeleton is not None:
        return loaded.skeleton, "as the file says"
    count = loaded.network.num_keypoints
    if count == COCO.num_keypoints:
        check_skeleton(loaded, COCO, "the skeleton assumed without --skeleton")
        return COCO, f"assumed, for {count} keypoints; see --skeleton"
    # More than one data set has CrowdPose's number of keypoints.
    raise ConfigurationError(
        f"'{loaded.report.path}' predicts {count} keypoints and does not say which: give --skeleton, crowdpose or "
        "a COCO-format file whose category lists them"
    )


def _codec(
    loaded: LoadedNetwork, name: str | None, input_size: str | None, sigma: float | None, decoder: str | None
) -> tuple[Codec, str]:
    """The codec to decode by, and how it is known."""
    chosen: Decoder | None = decoder  # type: ignore[assignment]  # checked by the codec
    codec = build_codec(name, input_size, sigma, known=loaded.codec, decoder=chosen)
    check_codec(codec, loaded.codec, loaded.report.path)
    if loaded.codec is not None:
        return codec, "as the file says"
    if name is not None and input_size is not None:
        return codec, "as asked for"
    missing = [option for option, given in (("--codec", name), ("--input-size", input_size)) if given is None]
    return codec, f"assumed, as the file does not say it; see {' and '.join(missing)}"


def _say(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
