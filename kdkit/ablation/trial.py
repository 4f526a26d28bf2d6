"""One finished training of an ablation: what came out, and what it cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from kdkit.curriculum import Curriculum
from kdkit.errors import ConfigurationError
from kdkit.teacher import Teacher
from kdkit.training import Trainer, TrainingResult
from kdkit.training.run_folder import RunFolder


@dataclass(frozen=True)
class Trial:
    """What one training gave and cost.

    Attributes:
        metrics: the last evaluation's, by name. The last and not the best: to choose the best epoch of each
            training by the data that it is compared on would flatter what varies most.
        steps: optimizer steps.
        samples: samples that the student learned from, each as often as it did.
        teacher_passes: for each network that taught, how many samples it was run on.
        seconds: how long it took; says nothing where other work ran beside it.
        curve: (steps, metrics) of each evaluation, in order.
        notes: whatever else is worth keeping, of plain JSON types.
    """

    metrics: Mapping[str, float]
    steps: int
    samples: int
    teacher_passes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    curve: Sequence[tuple[int, Mapping[str, float]]] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Trial":
        """Return the trial that :meth:`to_json` was taken of.

        Raises:
            ConfigurationError: if the content is not of a trial.
        """
        try:
            curve = tuple((int(steps), dict(metrics)) for steps, metrics in content["curve"])
            trial = cls(**{**content, "curve": curve})
            trial._check()
            return trial
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigurationError(f"this is no trial: {type(error).__name__}: {error}") from error

    def _check(self) -> None:
        """Raise a TypeError or ValueError where a number is none, or cannot be."""
        every = [self.metrics, *(metrics for _, metrics in self.curve)]
        numbers = [self.seconds, *(value for metrics in every for value in metrics.values())]
        if any(isinstance(value, bool) or not isinstance(value, int | float | None) for value in numbers):
            raise TypeError("metrics and seconds must be numbers")
        counts = [self.steps, self.samples, *self.teacher_passes.values()]
        if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
            raise TypeError("steps, samples and teacher passes must be whole numbers of 0 or more")


def run_trial(trainer: Trainer, samples_per_step: int, notes: Mapping[str, Any] | None = None) -> Trial:
    """Train to the end, or what is left of it, and return what came out.

    Args:
        trainer: a trainer that evaluates.
        samples_per_step: the batch size, times the batches of a step.
        notes: goes into the trial.

    Raises:
        ConfigurationError: if nothing was evaluated.
    """
    result = trainer.fit()
    return trial_of(result, trainer.folder.path, trainer.distiller.curriculum, samples_per_step, notes)


def trial_of(
    result: TrainingResult,
    folder: str | Path,
    curriculum: Curriculum,
    samples_per_step: int,
    notes: Mapping[str, Any] | None = None,
) -> Trial:
    """Return what came out of a finished run.

    What a network taught is counted by the stages of the run's lines: each sample of a stage counts once for
    every network of the teachers that the stage needs. Of an epoch in which a stage ends, all steps count for the
    stage of the last one, and a teacher counts also while a schedule keeps its weight at 0.

    Args:
        result: what :meth:`kdkit.Trainer.fit` returned.
        folder: the run's.
        curriculum: the run's.
        samples_per_step: the batch size, times the batches of a step.
        notes: goes into the trial.

    Raises:
        ConfigurationError: if nothing was evaluated.
    """
    if not result.metrics:
        raise ConfigurationError("an ablation compares metrics: give the Trainer evaluate=...")
    lines = RunFolder(folder).read_metrics()
    curve = tuple(
        (line["step"], {name: line[name] for name in result.metrics})
        for line in lines
        if result.metrics.keys() <= line.keys()
    )
    return Trial(
        metrics=dict(result.metrics),
        steps=result.steps,
        samples=result.steps * samples_per_step,
        teacher_passes=_passes(curriculum, _steps_by_stage(lines), samples_per_step),
        seconds=lines[-1]["seconds"],
        curve=curve,
        notes=dict(notes or {}),
    )


def _steps_by_stage(lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The steps of each stage, by its name."""
    steps: dict[str, int] = {}
    for before, line in pairwise([{"step": 0}, *lines]):
        steps[line["stage"]] = steps.get(line["stage"], 0) + line["step"] - before["step"]
    return steps


def _passes(curriculum: Curriculum, steps: Mapping[str, int], samples_per_step: int) -> dict[str, int]:
    """The samples that each network among the teachers was run on."""
    passes: dict[str, int] = {}
    for stage in curriculum:
        members = dict.fromkeys(member for teacher in stage.teachers for member in teacher.members)
        for name in (member.name for member in members if _is_network(member)):
            passes[name] = passes.get(name, 0) + steps.get(stage.name, 0) * samples_per_step
    return passes


def _is_network(teacher: Teacher) -> bool:
    return isinstance(getattr(teacher, "module", None), nn.Module)
