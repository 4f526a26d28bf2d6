"""``kdkit-pose pack``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.option_groups import UnlabelledPersons
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.show import describe_data, progress_bar
from kdkit_pose.data import Augment, CocoKeypoints
from kdkit_pose.data import pack as pack_persons


@grouped
def pack(
    context: typer.Context,
    *,
    annotations: Annotated[Path, typer.Option(help="COCO-format keypoint annotations of the persons.")],
    images: options.Images,
    out: Annotated[Path, typer.Option(help="Folder to make; an unfinished one is gone on with.")],
    input_size: options.InputSize = None,
    augment: Annotated[
        bool, typer.Option("--augment/--no-augment", help="Keep room for scaling, rotation and half bodies.")
    ] = True,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Keep each person's mask, too.")] = True,
    oversample: Annotated[
        float, typer.Option(help="Reduce crops that have more than so many pixels for one of the input's.")
    ] = 2.0,
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    predicted_masks: options.PredictedMasks = None,
    unlabelled: UnlabelledPersons,
    workers: Annotated[int, typer.Option(min=0, help="Processes that cut; 0 cuts in this one.")] = 0,
) -> None:
    """Cut a data set's persons out once, for training that decodes no pictures.

    \b
    Example:
      kdkit-pose pack --annotations person_keypoints_train2017.json \\
        --images train2017 --out packed/train2017 --workers 8
    """
    console = Console(highlight=False, soft_wrap=True)
    require_with(context, ["boxes"], ["box_threshold"])
    if not masks:
        refuse(context, ["predicted_masks"], "no masks are kept; leave it, or --no-masks, out")
    data = CocoKeypoints(
        *(annotations, images),
        codec=build_codec(None, input_size, None),
        skeleton=skeleton_of(annotations, skeleton, sigmas),
        masks=None if masks else False,
        unlabelled="keep" if unlabelled.any else "leave out",
        boxes=unlabelled.boxes,
        box_threshold=unlabelled.box_threshold,
        predicted_masks=predicted_masks,
    )
    console.print(describe_data(data), markup=False)
    with progress_bar("packing") as progress:
        pack_persons(
            *(data, out),
            augment=Augment() if augment else None,
            oversample=oversample,
            workers=workers,
            progress=progress,
        )
    size = sum(path.stat().st_size for path in out.iterdir())
    each = size / len(data)
    console.print(f"written: {out} ({size / 1e6:.1f} MB, {each / 1e6:.2f} MB a person)", markup=False)
