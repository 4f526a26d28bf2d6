"""``kdkit-pose demo``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit_pose.cli.options import Seed
from kdkit_pose.cli.show import metrics_table
from kdkit_pose.demo import run_demo
from kdkit_pose.report import comparison


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, runs and report.")] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """Run ODKD from end to end on built-in synthetic people, in minutes on two cores.

    Draws people, trains a primary and a senior teacher and a plain student, distils the same student by ODKD
    in the same number of epochs, evaluates all four as COCO does, and writes report.html.

    Example: kdkit-pose demo --out runs/demo
    """
    result = run_demo(out, seed=seed)
    console = Console()
    console.print(metrics_table({run.name: run.metrics for run in result.runs}, "network"))
    console.print(comparison(result.runs), highlight=False)
    console.print(f"report: {result.report}", highlight=False, soft_wrap=True)
