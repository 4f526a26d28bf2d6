"""What an objective may know of one step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from kdkit.batch import Batch
from kdkit.schedule import Schedule

TeacherTargets = Mapping[str, Mapping[str, Tensor]]
"""Targets by teacher's name and output's name."""


@dataclass(frozen=True)
class StepContext:
    """One step, as objectives and their regions see it.

    Attributes:
        batch: the batch.
        targets: what the teachers gave, before any transform, by teacher's and output's name.
        predictions: the student's outputs by name.
        value: gives a schedule's value at this moment.
        over_processes: gives a tensor's mean over the processes that share the batch; None where one has it all.
        unseen: the objectives whose values are looked at, since they are the first in their stage.
    """

    batch: Batch
    targets: TeacherTargets
    predictions: Mapping[str, Tensor]
    value: Callable[[Schedule], float]
    over_processes: Callable[[Tensor], Tensor] | None = None
    unseen: frozenset[str] = frozenset()
