"""One step of kdkit's own trainer at a time, so that it can take turns with loops written by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kdkit import (
    Batch,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    Objective,
    Stage,
    Supervise,
    Teacher,
    Trainer,
    losses,
)


def one_stage(teacher: Teacher | None) -> Curriculum:
    """Return a curriculum of the minimal loop's terms: of a truth and a teacher, or of the truth alone.

    Its one stage ends after a million epochs, so that a step can be run as often as is wanted.
    """
    objectives: list[Objective] = [Supervise("heatmap", losses.mse, weight=0.5, region="visible")]
    if teacher is not None:
        objectives.append(Distill(teacher, "heatmap", losses.mse, weight=0.5, region="visible"))
    return Curriculum(Stage("stage", objectives, Epochs(1_000_000)))


def trainer_step(
    distiller: Distiller, batches: Sequence[Batch], folder: Path, **options: Any
) -> Callable[[Batch], None]:
    """Return all that a trainer does for one batch: losses, backward, optimizer, what it watches and counts.

    Checkpoints, evaluations and the line at an epoch's end are not in it.

    Args:
        distiller: student and curriculum, which must not end while it is measured.
        batches: what the trainer is made with, which only counts them.
        folder: of the run; must not exist.
        options: of :class:`kdkit.Trainer`.
    """
    trainer = Trainer(distiller, batches, out=folder, progress=False, **options)
    distiller.curriculum.steps_per_epoch = len(batches)
    distiller.student.train()

    def step(batch: Batch) -> None:
        trainer.step(batch)

    return step
