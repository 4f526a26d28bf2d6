"""What commands print and write."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from kdkit import TrainingResult
from kdkit.files import write_atomically
from kdkit.processes import Processes
from kdkit_pose.data import PoseDataset
from kdkit_pose.evaluation import Comparison, KeypointErrors, Metrics
from kdkit_pose.masks import MaskScores, MaskSource

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
CROWD_FIGURES = ("AP", "AP50", "AP75", "AP_easy", "AP_medium", "AP_hard", "AR", "AR50", "AR75")


def metrics_table(rows: Mapping[str, Metrics], first: str = "") -> Table:
    """Return COCO's ten figures of each row, and where its boxes came from, in 80 columns.

    Where the ground truth has levels of crowding, CrowdPose's nine.
    """
    columns = CROWD_FIGURES if any("AP_easy" in metrics for metrics in rows.values()) else FIGURES
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, caption_justify="left")
    table.add_column(first, overflow="fold")
    for figure in columns:
        table.add_column(figure, justify="right", no_wrap=True)
    for name, metrics in rows.items():
        figures = [metrics.get(figure) for figure in columns]
        table.add_row(
            f"{name}\n{metrics['boxes']} boxes", *("-" if value is None else f"{value:.3f}" for value in figures)
        )
        if None in figures:
            table.caption = "-: the ground truth has no such person, or does not say areas"
    return table


def keypoints_table(errors: KeypointErrors) -> Table:
    """Return each keypoint's error, in 80 columns; median and mean in pixels of the picture."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("keypoint", overflow="fold")
    for column in ("labelled", "median px", "mean px", "OKS"):
        table.add_column(column, justify="right", no_wrap=True)
    for error in errors.keypoints:
        figures = ((error.median, ".1f"), (error.mean, ".1f"), (error.similarity, ".3f"))
        cells = ("-" if value is None else format(value, form) for value, form in figures)
        table.add_row(error.keypoint, str(error.labelled), *cells)
    return table


def describe_data(data: PoseDataset, what: str = "persons") -> str:
    """Return how many persons a data set has, and in lines of their own what was left out or changed."""
    lines = [f"{len(data)} {what} in {len(data.image_ids)} pictures"]
    for title, tally in (("left out", data.skipped.left_out), ("noted", data.skipped.noted)):
        if tally.total:
            lines.append(f"  {title}: {tally}")
    return "\n".join(lines)


def write_json(content: Mapping[str, Any], path: Path | None) -> None:
    """Write a JSON file atomically; nothing without a path."""
    if path is not None:
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))


def tracked(batches: Any, description: str) -> Iterable[Any]:
    """Return batches that show a bar while they are gone through, where there is a terminal."""
    console = Console(stderr=True)
    return track(
        batches,
        description,
        total=len(batches),
        console=console,
        transient=True,
        disable=not (console.is_terminal and Processes.current().is_main),
    )


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar where there is a terminal; it goes by calls with how many are done and how many there are."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def comparison_details(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison in JSON's types, the difference first."""
    return {"difference": comparison.difference, **asdict(comparison)}


def show_doubtful_masks(measured: MaskScores | MaskSource, console: Console) -> None:
    """Warn of a mask predictor that does no better than the filled box; nothing where that is not known."""
    if measured.box is not None and measured.iou <= measured.box:
        console.print(
            f"warning: the box itself is the better mask (IoU {measured.box:.3f}, the predictor's "
            f"{measured.iou:.3f}); train the predictor longer, or on more persons",
            markup=False,
        )


def show_result(result: TrainingResult, console: Console) -> None:
    """Say what a training gave, and where it is."""
    if result.best is not None:
        console.print(f"best val/AP {result.best:.3f} with ground truth boxes", highlight=False)
    console.print(f"written: {result.student} ({result.selected})", highlight=False, soft_wrap=True, markup=False)
