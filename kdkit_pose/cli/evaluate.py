"""``kdkit-pose evaluate``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdkit.processes import Processes
from kdkit_pose.cli import options
from kdkit_pose.cli.codec_choice import ChosenCodec, choose_codec
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.evaluated import Evaluated, Evaluation
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.loading import LoadedNetwork, check_codec, load_network
from kdkit_pose.cli.outputs import check_outputs, show_written
from kdkit_pose.cli.show import (
    comparison_details,
    describe_data,
    keypoints_table,
    metrics_table,
    progress_bar,
    write_json,
)
from kdkit_pose.evaluation import Comparison, check_comparable, compare, write_results


def evaluate(
    context: typer.Context,
    checkpoint: Annotated[
        Path, typer.Option(help="The network's file: kdkit's, an official one, mmpose's or DWPose's.")
    ],
    annotations: Annotated[Path, typer.Option(help="COCO-format keypoint annotations: the ground truth.")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    against: Annotated[
        Path | None, typer.Option(help="Another network's file, to be compared on the same persons.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The network, where its file is not recognised.")] = None,
    against_model: Annotated[str | None, typer.Option(help="The same of --against.")] = None,
    mask_fusion: Annotated[str, typer.Option(help="How the mask enters, where its file is silent.")] = "none",
    against_mask_fusion: Annotated[str, typer.Option(help="The same of --against.")] = "none",
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    boxes: Annotated[
        Path | None, typer.Option(help="A detector's boxes in COCO's result format, instead of ground truth's.")
    ] = None,
    box_threshold: options.BoxThreshold = 0.0,
    predicted_masks: options.PredictedMasks = None,
    codec: options.CodecName = None,
    input_size: options.InputSize = None,
    sigma: options.Sigma = None,
    decoder: Annotated[str | None, typer.Option(help="How to decode: peak or centroid.")] = None,
    force_codec: Annotated[
        bool, typer.Option("--force-codec", help="Read heatmaps as the options say, whatever the file says.")
    ] = False,
    flip: Annotated[bool, typer.Option(help="Average with the mirrored input's heatmaps.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Persons at a time.")] = 64,
    workers: options.Workers = 0,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Score only the pictures that are there and can be read.")
    ] = False,
    resamples: Annotated[int, typer.Option(min=100, help="With --against: draws of the bootstrap.")] = 2000,
    results: Annotated[Path | None, typer.Option(help="Also write the keypoints found, in COCO's format.")] = None,
    json: options.Json = None,
    details: Annotated[
        Path | None, typer.Option(help="Also write all that is printed, errors by keypoint too, as JSON.")
    ] = None,
) -> None:
    """Evaluate a network as COCO does, or two and their difference.

    Flip test, decoding, rescoring, OKS-NMS; COCO's ten figures and each keypoint's error; with the ground truth's
    boxes, or with a detector's by --boxes. With --against, the difference in AP comes with an interval by a
    paired bootstrap over the pictures.

    \b
    Example:
      kdkit-pose evaluate --checkpoint runs/odkd/student.safetensors \\
        --annotations person_keypoints_val2017.json --images val2017 \\
        --against runs/plain/student.safetensors
    """
    require_with(context, ["against"], ["against_model", "against_mask_fusion", "resamples"])
    require_with(context, ["boxes"], ["box_threshold"])
    require_with(context, ["codec", "input_size", "sigma"], ["force_codec"])
    check_outputs(
        {"--results": results, "--json": json, "--details": details},
        {"--checkpoint": checkpoint, "--against": against, "--annotations": annotations, "--boxes": boxes}
        | {"--predicted-masks": predicted_masks, "--skeleton": skeleton, "--sigmas": sigmas},
    )
    # Whatever may be wrong with either file is said before the first is evaluated.
    networks = [load_network(checkpoint, model, mask_fusion, "--model")]
    if against is not None:
        networks.append(load_network(against, against_model, against_mask_fusion, "--against-model"))
    if not any("mask" in loaded.network.inputs for loaded in networks):
        refuse(context, ["predicted_masks"], "no network here reads masks; leave it out")
    asked: dict[str, Any] = {"name": codec, "input_size": input_size, "sigma": sigma, "decoder": decoder}
    schemes = [_codec(loaded, asked, force=force_codec) for loaded in networks]
    body = skeleton_of(annotations, skeleton, sigmas, known=networks[0].skeleton)
    evaluation = Evaluation(
        *(annotations, images, body, boxes, box_threshold),
        *(predicted_masks, flip, batch_size, workers, skip_missing),
    )
    for loaded in networks:
        evaluation.check(loaded)
    if against is not None:
        check_comparable(annotations, skeleton=body)
    runs = [evaluation.run(loaded, scheme.codec) for loaded, scheme in zip(networks, schemes, strict=True)]
    if not Processes.current().is_main:
        return
    # What took long is kept before anything else may fail.
    if results is not None:
        write_results(runs[0].results, results)
    write_json(_figures(runs[0]), json)
    comparison = _compare(*runs, resamples=resamples) if len(runs) == 2 else None
    _show(Console(), runs, schemes, comparison)
    write_json(_details(runs, comparison), details)
    show_written(results, json, details)


def _codec(loaded: LoadedNetwork, asked: dict[str, Any], *, force: bool) -> ChosenCodec:
    """Return how a network's heatmaps are read, see :func:`choose_codec`; if forced, it is told so.

    Raises:
        ConfigurationError: The options contradict the file, and are not forced.
    """
    chosen = choose_codec(loaded, **asked)
    if force:
        loaded.network.codec = chosen.codec
    else:
        check_codec(chosen.codec, loaded.codec, loaded.report.path, "insist with --force-codec")
    return chosen


def _compare(first: Evaluated, second: Evaluated, *, resamples: int) -> Comparison:
    """Return the difference in AP of two networks that were evaluated on the same persons."""
    with progress_bar("resampling") as tell:
        return compare(
            *(first.truth, first.results, second.results),
            skeleton=first.data.skeleton,
            resamples=resamples,
            progress=tell,
        )


def _show(
    console: Console, runs: list[Evaluated], schemes: list[ChosenCodec], comparison: Comparison | None
) -> None:
    """Print what was found: the data, the figures, how they came about, each keypoint's error, the difference."""
    letters = ("",) if comparison is None else ("A ", "B ")
    names = [f"{letter}{run.loaded.network.name}" for letter, run in zip(letters, runs, strict=True)]
    lines = [describe_data(runs[0].data)]
    for name, run, scheme in zip(names, runs, schemes, strict=True):
        lines += [f"{name}: {run.loaded.report}", f"  {run.protocol}"]
        if run.loaded.codec is None:
            lines.append(f"  its file names no codec; {scheme.how}")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(metrics_table({name: run.metrics for name, run in zip(names, runs, strict=True)}, "network"))
    for name, run in zip(names, runs, strict=True):
        errors = run.errors
        found = f"{errors.matched} of {errors.persons} persons have a result"
        console.print(f"{name}: {found}; their errors, keypoint by keypoint:", highlight=False, soft_wrap=True)
        console.print(keypoints_table(errors))
    if comparison is not None:
        console.print(f"A - B: {comparison}", highlight=False, soft_wrap=True)


def _figures(run: Evaluated) -> dict[str, Any]:
    """Return the figures, where their boxes came from and, where masks were predicted, their masks, too."""
    masks = run.data.masks_predicted
    return {**run.metrics, **({} if masks is None else {"masks": str(masks)})}


def _details(runs: list[Evaluated], comparison: Comparison | None) -> dict[str, Any]:
    details = runs[0].details()
    if comparison is not None:
        details |= {"against": runs[1].details(), "comparison": comparison_details(comparison)}
    return details
