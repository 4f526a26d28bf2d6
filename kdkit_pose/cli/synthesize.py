"""``kdkit-pose synthesize``."""

import shlex
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
    console, told = Console(stderr=True), Console(highlight=False, markup=False, soft_wrap=True)
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
            told.print(f"{count} {split} pictures: {path}")
    if train and val:
        told.print(f"a first training on them, for a minute:\n  {_first_training(out)}")


def _first_training(out: Path) -> str:
    """A command that trains on the people, small enough to be tried on a CPU."""
    folder = shlex.quote(str(out / "annotations"))
    return (
        "kdkit-pose train --model hrnet_w8_small --input-size 128x96 --epochs 2 --batch-size 8 --evaluate-every 1"
        f" --train-annotations {folder}/person_keypoints_train.json --images {shlex.quote(str(out / 'images'))}"
        f" --val-annotations {folder}/person_keypoints_val.json --out runs/first"
    )
