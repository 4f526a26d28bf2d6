"""A teacher that is the weighted average of others."""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Self

import torch
from torch import Tensor, nn

from kdkit.batch import Batch
from kdkit.errors import BatchError, ConfigurationError
from kdkit.teacher import Teacher


class EnsembleTeacher(Teacher):
    """The weighted average of several teachers' targets.

    Args:
        name: the teacher's name, unique within a run.
        teachers: at least one teacher; the ensemble gives the outputs that all of them give.
        weights: one weight a teacher, not negative; they are divided by their sum. Equal by default.

    Raises:
        ConfigurationError: if there is no teacher, no common output, or the weights do not fit.
    """

    def __init__(self, name: str, teachers: Sequence[Teacher], weights: Sequence[float] | None = None) -> None:
        self.name = name
        self.teachers = tuple(teachers)
        if not self.teachers:
            raise ConfigurationError(f"ensemble '{name}' needs at least one teacher")
        weights = tuple(weights) if weights is not None else (1.0,) * len(self.teachers)
        if len(weights) != len(self.teachers):
            raise ConfigurationError(
                f"ensemble '{name}' has {len(self.teachers)} teachers and {len(weights)} weights: give one each"
            )
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) == 0:
            raise ConfigurationError(
                f"ensemble '{name}': weights {weights} must be finite, not negative, and not all zero"
            )
        self.weights = tuple(weight / sum(weights) for weight in weights)
        self.reads = tuple(dict.fromkeys(chain.from_iterable(teacher.reads for teacher in self.teachers)))
        self.outputs = tuple(
            output
            for output in self.teachers[0].outputs
            if all(output in teacher.outputs for teacher in self.teachers)
        )
        if not self.outputs:
            raise ConfigurationError(f"ensemble '{name}': its teachers have no output in common")

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the averaged targets; a teacher of weight zero is not run.

        Raises:
            BatchError: if the teachers' targets differ in shape.
        """
        given = [
            (weight, teacher.targets(batch))
            for weight, teacher in zip(self.weights, self.teachers, strict=True)
            if weight > 0
        ]
        return {output: self._average(output, given) for output in self.outputs}

    def _average(self, output: str, given: Sequence[tuple[float, dict[str, Tensor]]]) -> Tensor:
        shapes = {tuple(targets[output].shape) for _, targets in given}
        if len(shapes) > 1:
            raise BatchError(
                f"ensemble '{self.name}': its teachers give '{output}' in the shapes {sorted(shapes)}: "
                f"only targets of one shape can be averaged"
            )
        with torch.no_grad():
            return torch.stack([weight * targets[output] for weight, targets in given]).sum(0)

    def to(self, device: torch.device) -> Self:
        """Move every teacher to ``device``."""
        for teacher in self.teachers:
            teacher.to(device)
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of all teachers."""
        return chain.from_iterable(teacher.parameters() for teacher in self.teachers)

    def __repr__(self) -> str:
        return f"EnsembleTeacher({self.name!r}, {list(self.teachers)}, weights={self.weights})"
