"""``kdkit-pose pack``."""

import typer
from rich.console import Console

from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.option_groups import UnlabelledPersons
from kdkit_pose.cli.show import progress_bar
from kdkit_pose.cli.to_cut import ToCut
from kdkit_pose.data import pack as pack_persons


@grouped
def pack(context: typer.Context, *, persons: ToCut, unlabelled: UnlabelledPersons) -> None:
    """Cut a data set's persons out once, for training that decodes no pictures.

    \b
    Example:
      kdkit-pose pack --annotations person_keypoints_train2017.json \\
        --images train2017 --out packed/train2017 --workers 8
    """
    console = Console(highlight=False, soft_wrap=True)
    data, out = persons.load(context, unlabelled, console), persons.out
    with progress_bar("packing") as progress:
        pack_persons(
            *(data, out),
            augment=persons.widest,
            oversample=persons.oversample,
            workers=persons.workers,
            progress=progress,
        )
    size = sum(path.stat().st_size for path in out.iterdir())
    each = size / len(data)
    console.print(f"written: {out} ({size / 1e6:.1f} MB, {each / 1e6:.2f} MB a person)", markup=False)
