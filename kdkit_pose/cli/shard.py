"""``kdkit-pose shard``."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from kdkit.streaming import ShardIndex
from kdkit.streaming.extra import require_webdataset
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.option_groups import UnlabelledPersons
from kdkit_pose.cli.show import progress_bar
from kdkit_pose.cli.to_cut import ToCut
from kdkit_pose.data import shard as shard_persons


class PixelEncoding(StrEnum):
    """How a shard keeps pixels."""

    raw = "raw"
    png = "png"


@grouped
def shard(
    context: typer.Context,
    *,
    persons: ToCut,
    unlabelled: UnlabelledPersons,
    encoding: Annotated[
        PixelEncoding,
        typer.Option(help="Keep pixels as they are, or in fewer bytes, read slower."),
    ] = PixelEncoding.raw,
    shard_size: Annotated[int, typer.Option(min=1, help="About how many MB of pixels a shard holds.")] = 128,
) -> None:
    """Cut a data set's persons into shards, for training that reads one after the other.

    \b
    Example:
      kdkit-pose shard --annotations person_keypoints_train2017.json \\
        --images train2017 --out shards/train2017 --workers 8
    """
    require_webdataset()
    console = Console(highlight=False, soft_wrap=True)
    data, out = persons.load(context, unlabelled, console), persons.out
    with progress_bar("cutting") as progress:
        shard_persons(
            *(data, out),
            augment=persons.widest,
            oversample=persons.oversample,
            encoding=encoding.value,
            workers=persons.workers,
            shard_bytes=shard_size * 10**6,
            progress=progress,
        )
    index = ShardIndex.read(out)
    size, many = sum(one.size for one in index.shards), len(index.shards)
    each = size / len(data)
    told = f"{size / 1e6:.1f} MB in {many} shard{'s' if many > 1 else ''}, {each / 1e6:.2f} MB a person"
    console.print(f"written: {out} ({told})", markup=False)
