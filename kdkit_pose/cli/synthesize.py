"""``kdkit-pose synthesize``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from kdkit import ConfigurationError
from kdkit_pose.synthetic import Annotator, SyntheticPeople, write_coco


def synthesize(
    out: Annotated[Path, typer.Option(help="Folder to make annotations/ and images/ in.")],
    train: Annotated[int, typer.Option(min=0, help="Training pictures.")] = 1000,
    val: Annotated[int, typer.Option(min=0, help="Validation pictures.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the pictures; another seed, other people.")] = 0,
    crowded: Annotated[float, typer.Option(help="Share of pictures with people close together, 0 to 1.")] = 0.5,
    coco_labels: Annotated[
        bool,
        typer.Option(
            help="Training annotations as people make them: joints off by the OKS constants, a quarter of them "
            "left out, masks of a few straight lines. The validation's stay exact."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw; 0 draws in this one.")] = 0,
) -> None:
    """Draw synthetic people as a COCO-format data set.

    Example: kdkit-pose synthesize --out people --train 2000 --val 200
    """
    if train == val == 0:
        raise ConfigurationError("nothing to draw: both --train and --val are 0")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        # Two seeds a data set: no picture of one split is in the other.
        for split, count, split_seed in (("train", train, 2 * seed), ("val", val, 2 * seed + 1)):
            if count == 0:
                continue
            task = progress.add_task(f"drawing {split}", total=count)
            people = SyntheticPeople(count, seed=split_seed, crowded=crowded)
            first = 1 if split == "train" else 1 + train
            path = write_coco(
                people,
                out,
                split,
                workers=workers,
                first_image_id=first,
                annotator=Annotator(seed=seed) if coco_labels and split == "train" else None,
                progress=lambda done, task=task: progress.update(task, completed=done),  # type: ignore[misc]
            )
            Console().print(f"{count} {split} pictures: {path}", highlight=False, soft_wrap=True)
