"""Whom to cut out of their pictures, and what to keep of them: what pack and shard have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.option_groups import UnlabelledPersons
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.show import describe_data
from kdkit_pose.data import Augment, CocoKeypoints


@dataclass(frozen=True)
class ToCut:
    """The persons, and what to keep."""

    annotations: Annotated[Path, typer.Option(help="COCO-format keypoint annotations of the persons.")]
    images: options.Images
    out: Annotated[Path, typer.Option(help="Folder to make; an unfinished one is gone on with.")]
    input_size: options.InputSize = None
    augment: Annotated[
        bool, typer.Option("--augment/--no-augment", help="Keep room for scaling, rotation and half bodies.")
    ] = True
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Keep each person's mask, too.")] = True
    oversample: Annotated[
        float, typer.Option(help="Reduce crops that have more than so many pixels for one of the input's.")
    ] = 2.0
    skeleton: options.SkeletonOption = None
    sigmas: options.SigmasOption = None
    predicted_masks: options.PredictedMasks = None
    workers: Annotated[int, typer.Option(min=0, help="Processes that cut; 0 cuts in this one.")] = 0

    @property
    def widest(self) -> Augment | None:
        """What to keep room for."""
        return Augment() if self.augment else None

    def load(self, context: typer.Context, unlabelled: UnlabelledPersons, console: Console) -> CocoKeypoints:
        """Return the persons, and say how many there are and what was left out.

        Raises:
            ConfigurationError: if an option is of no use.
            DataError: if the files cannot be used.
        """
        require_with(context, ["boxes"], ["box_threshold"])
        if not self.masks:
            refuse(context, ["predicted_masks"], "no masks are kept; leave it, or --no-masks, out")
        data = CocoKeypoints(
            *(self.annotations, self.images),
            codec=build_codec(None, self.input_size, None),
            skeleton=skeleton_of(self.annotations, self.skeleton, self.sigmas),
            masks=None if self.masks else False,
            unlabelled="keep" if unlabelled.any else "leave out",
            boxes=unlabelled.boxes,
            box_threshold=unlabelled.box_threshold,
            predicted_masks=self.predicted_masks,
        )
        console.print(describe_data(data), markup=False)
        return data
