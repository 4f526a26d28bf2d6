"""``kdkit-pose score``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import require_with
from kdkit_pose.cli.loading import describe_file
from kdkit_pose.cli.options import Json, SigmasOption, SkeletonOption
from kdkit_pose.cli.outputs import check_outputs, show_written
from kdkit_pose.cli.show import comparison_details, metrics_table, progress_bar, write_json
from kdkit_pose.evaluation import check_comparable, coco_metrics, compare


def score(
    context: typer.Context,
    annotations: Annotated[Path, typer.Option(help="COCO-format keypoint annotations: the ground truth.")],
    results: Annotated[Path, typer.Option(help="A COCO keypoint results file.")],
    boxes: Annotated[
        str,
        typer.Option(
            help="Where the results' boxes came from, which no results file says: 'ground truth' or 'detector'."
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option(help="Another results file, of the same boxes, to be compared on the same pictures."),
    ] = None,
    skeleton: SkeletonOption = None,
    sigmas: SigmasOption = None,
    resamples: Annotated[int, typer.Option(min=100, help="With --against: draws of the bootstrap.")] = 2000,
    json: Json = None,
    details: Annotated[
        Path | None, typer.Option(help="Also write all that is printed, the comparison too, as JSON.")
    ] = None,
) -> None:
    """Score a results file with COCO's keypoint metrics, or two and their difference.

    \b
    Example:
      kdkit-pose score --annotations person_keypoints_val2017.json \\
        --results results.json --boxes detector
    """
    require_with(context, ["against"], ["resamples"])
    check_outputs(
        {"--json": json, "--details": details},
        {"--annotations": annotations, "--results": results, "--against": against}
        | {"--skeleton": skeleton, "--sigmas": sigmas},
    )
    bones = skeleton_of(annotations, skeleton, sigmas)
    if against is not None:
        check_comparable(annotations, skeleton=bones)
    metrics = coco_metrics(annotations, results, skeleton=bones, boxes=boxes)  # type: ignore[arg-type]
    rows = {results.name: metrics}
    content: dict[str, Any] = {"results": describe_file(results), "figures": dict(metrics)}
    difference = ""
    if against is not None:
        other = coco_metrics(annotations, against, skeleton=bones, boxes=boxes)  # type: ignore[arg-type]
        rows = {f"A {results.name}": metrics, f"B {against.name}": other}
        with progress_bar("resampling") as tell:
            comparison = compare(annotations, results, against, skeleton=bones, resamples=resamples, progress=tell)
        content |= {
            "against": {"results": describe_file(against), "figures": dict(other)},
            "comparison": comparison_details(comparison),
        }
        difference = f"A - B: {comparison}"
    console = Console()
    console.print(metrics_table(rows, "results"))
    if difference:
        console.print(difference, highlight=False, soft_wrap=True)
    write_json(metrics, json)
    write_json(content, details)
    show_written(json, details)
