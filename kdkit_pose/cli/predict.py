"""``kdkit-pose predict``."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track

from kdkit import ConfigurationError, DataError
from kdkit_pose.cli.codec_choice import choose_codec
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.loading import LoadedNetwork, check_codec, check_skeleton, load_network
from kdkit_pose.cli.options import BoxThreshold, CodecName, InputSize, Sigma, SkeletonOption
from kdkit_pose.cli.outputs import check_outputs, show_written
from kdkit_pose.cli.show import show_doubtful_masks
from kdkit_pose.codecs import Codec, Decoder
from kdkit_pose.masks import LoadedPredictor
from kdkit_pose.masks import load as load_mask_predictor
from kdkit_pose.prediction import Drawing, PredictionFolder, Predictor, find_pictures
from kdkit_pose.prediction.batch import Batch, BatchReport
from kdkit_pose.prediction.boxes import BoxFile, read_boxes, read_pictures
from kdkit_pose.prediction.folder import drawing_folders
from kdkit_pose.skeleton import COCO, Skeleton
from kdkit_pose.skeleton_category import COCO_LIKE


def predict(
    context: typer.Context,
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
            help="Persons' boxes: COCO annotations, or a list in COCO's result format. Pictures without a box are "
            "skipped. Without it, each picture is taken for the box of one person."
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            help="COCO file that says which pictures the image ids, of --boxes or of the results, are; no boxes "
            "are taken from it."
        ),
    ] = None,
    box_threshold: BoxThreshold = 0.0,
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
    heatmaps: Annotated[
        bool, typer.Option("--heatmaps", help="Also write the persons' heatmaps, all keypoints in one.")
    ] = False,
    keypoint_heatmaps: Annotated[
        bool, typer.Option("--keypoint-heatmaps", help="Also write each person's heatmaps, one by one.")
    ] = False,
    masks: Annotated[bool, typer.Option("--masks", help="Also draw the persons' masks in --boxes.")] = False,
    predicted_masks: Annotated[
        Path | None, typer.Option(help="Masks that were predicted for --boxes, for persons without one.")
    ] = None,
    mask_predictor: Annotated[
        Path | None,
        typer.Option(
            help="A file of train-masks: predicts masks that are missing, for a network that reads them."
        ),
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
    require_with(context, ["boxes"], ["box_threshold", "max_persons", "masks", "predicted_masks"])
    check_outputs(
        {"--out": out / "results.json"},
        {"--checkpoint": checkpoint, "--boxes": boxes, "--annotations": annotations, "--skeleton": skeleton}
        | {"--predicted-masks": predicted_masks, "--mask-predictor": mask_predictor},
    )
    files = find_pictures(images, leave_out=drawing_folders(out))
    loaded = load_network(checkpoint, model, mask_fusion, "--model")
    reads_masks = "mask" in loaded.network.inputs
    if not reads_masks:
        refuse(context, ["mask_predictor"], f"{loaded.network.name} reads no masks; leave it out")
    found = _mask_predictor(mask_predictor)
    listed = _listed(
        *(boxes, annotations, predicted_masks, box_threshold),
        drawn=masks and found is None,
        read=masks or reads_masks,
    )
    keypoints, skeleton_said = _skeleton(loaded, skeleton)
    scheme, codec_said = _codec(loaded, codec, input_size, sigma, decoder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stored = boxes is not None or annotations is not None
    batch = Batch(
        Predictor(
            *(loaded.network, scheme, keypoints),
            flip=flip,
            device=device,
            batch_size=batch_size,
            mask_predictor=found,
        ),
        files,
        listed,
        whole=boxes is None,
        upright=not stored if upright is None else upright,
        heatmaps=heatmaps or keypoint_heatmaps,
        most=max_persons,
    )
    shown_masks = masks or predicted_masks is not None or found is not None
    drawing = Drawing(score_threshold, enlarge, heatmaps, shown_masks, keypoint_heatmaps)
    folder = PredictionFolder(out, files, keypoints, scheme, drawing)
    _predict_all(batch, folder)
    _finish(
        folder,
        batch.report,
        [
            f"{loaded.network.name} of {checkpoint.name}, flip test {'on' if flip else 'off'}",
            f"{scheme} ({codec_said}); skeleton {keypoints.name} ({skeleton_said})",
            *([] if found is None else [f"masks of persons without one by {found.source}"]),
        ],
    )
    if batch.report.unreadable:
        raise typer.Exit(1)


def _mask_predictor(path: Path | None) -> LoadedPredictor | None:
    """The predictor of masks, if there is one; a warning is printed where it is of little use."""
    if path is None:
        return None
    loaded = load_mask_predictor(path)
    show_doubtful_masks(loaded.source, Console(highlight=False, soft_wrap=True))
    return loaded


def _predict_all(batch: Batch, folder: PredictionFolder) -> None:
    """Predict each picture, showing how far it is where there is a terminal.

    Raises:
        DataError: None of them can be read.
    """
    err = Console(stderr=True)
    try:
        for file in track(batch.files, "predicting", console=err, transient=True, disable=not err.is_terminal):
            batch.predict(file, folder)
    except BaseException:
        if batch.report.pictures:
            folder.keep_unfinished()  # hours of pictures are not lost for one
            show_written(folder.unfinished_path)
        raise
    if not batch.report.pictures:
        problem = batch.report.unreadable[0]
        raise DataError(f"none of the {len(batch.files)} pictures can be read: {problem}")


def _finish(folder: PredictionFolder, report: BatchReport, made: list[str]) -> None:
    """Write results and page, and print what the page says.

    Args:
        folder: With all pictures drawn.
        report: What was found.
        made: How it was found, in lines.
    """
    notes = [*made, *report.lines()]
    if leftovers := folder.leftovers():
        notes.append(f"{leftovers} drawings of an earlier prediction are still in the folder")
    folder.finish("Predictions", report.summary(), notes)
    console = Console()
    for line in (report.summary(), *(f"  {note}" for note in notes)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    show_written(folder.path)


def _listed(
    boxes: Path | None,
    annotations: Path | None,
    predicted_masks: Path | None,
    box_threshold: float,
    *,
    drawn: bool,
    read: bool,
) -> BoxFile | None:
    """What files say of the pictures, if there are any; with masks where they are drawn or read.

    Raises:
        ConfigurationError: Only masks of the file can be drawn, and there are none.
    """
    if boxes is None:
        return read_pictures(annotations) if annotations is not None else None
    listed = read_boxes(
        *(boxes, annotations), masks=read, predicted_masks=predicted_masks, threshold=box_threshold
    )
    if drawn and not any(mask is not None for picture in listed.pictures for mask in picture.masks):
        raise ConfigurationError(
            f"--masks would change nothing: none of the boxes in {boxes} has a mask; give --predicted-masks too "
            "(kdkit-pose predict-masks makes them), or leave it out"
        )
    return listed


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
    found = choose_codec(loaded, name, input_size, sigma, chosen)
    check_codec(found.codec, loaded.codec, loaded.report.path)
    return found.codec, found.how if loaded.codec is not None else f"its file names no codec; {found.how}"
