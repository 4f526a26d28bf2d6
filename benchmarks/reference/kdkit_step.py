"""The minimal loop's step as distiller and trainer do it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.reference.trainer_step import trainer_step
from kdkit import (
    Batch,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    ModuleTeacher,
    Objective,
    Stage,
    Student,
    Supervise,
    losses,
)


def kdkit_step(
    student: nn.Module, teacher: nn.Module | None, batches: Sequence[Batch], folder: Path, **options: Any
) -> Callable[[Batch], None]:
    """Return a function that trains the student on a batch.

    Args:
        student: image [B, 3, H, W] to heatmaps [B, K, h, w].
        teacher: gives heatmaps, too; None for plain training.
        batches: what the trainer counts.
        folder: of the run; must not exist.
        options: of :class:`kdkit.Trainer`.
    """
    objectives: list[Objective] = [Supervise("heatmap", losses.mse, weight=0.5, region="visible")]
    if teacher is not None:
        source = ModuleTeacher("teacher", teacher, "image", "heatmap")
        objectives.append(Distill(source, "heatmap", losses.mse, weight=0.5, region="visible"))
    # Far from its end, however often it is run.
    curriculum = Curriculum(Stage("stage", objectives, Epochs(1_000_000)))
    return trainer_step(Distiller(Student(student), curriculum), batches, folder, **options)
