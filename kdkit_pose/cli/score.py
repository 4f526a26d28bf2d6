"""``kdkit-pose score``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit_pose.cli.options import Json
from kdkit_pose.cli.show import metrics_table, write_json
from kdkit_pose.evaluation import coco_metrics


def score(
    annotations: Annotated[Path, typer.Option(help="COCO keypoint annotations: the ground truth.")],
    results: Annotated[Path, typer.Option(help="A COCO keypoint results file.")],
    boxes: Annotated[
        str, typer.Option(help="Where the results' boxes came from: 'ground truth' or 'detector'.")
    ] = "ground truth",
    json: Json = None,
) -> None:
    """Score a results file with COCO's keypoint metrics.

    \b
    Example:
      kdkit-pose score --annotations person_keypoints_val2017.json \\
        --results results.json
    """
    metrics = coco_metrics(annotations, results, boxes=boxes)  # type: ignore[arg-type]  # checked there
    Console().print(metrics_table({results.name: metrics}, "results"))
    write_json(metrics, json)
