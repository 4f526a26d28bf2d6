"""Fast teachers from options."""

from typing import Annotated

import torch
import typer

from kdkit import FastTeacher, ModuleTeacher, fast_teacher
from kdkit.batch import to_device
from kdkit_pose.data import PoseDataset, loader

FastTeachers = Annotated[
    bool,
    typer.Option(
        "--fast-teachers",
        help="Run the teacher's network folded, cast, channels last and on a GPU compiled, once it was compared.",
    ),
]


def make_fast(teacher: ModuleTeacher, data: PoseDataset, batch_size: int, device: torch.device) -> FastTeacher:
    """Return a teacher made fast for batches of this size, compared with float32 on the first persons.

    On a CPU nothing is compiled: the compiler works for minutes there.

    Args:
        teacher: the teacher.
        data: the persons.
        batch_size: how many of them it will see at once.
        device: where it will run.

    Raises:
        ConfigurationError: if it gives something else than in float32.
    """
    batch = to_device(next(iter(loader(data, min(batch_size, len(data))))), device)
    with torch.no_grad():
        seen = batch if data.prepare is None else data.prepare(batch)
    return fast_teacher(teacher, seen, compile=device.type == "cuda")
