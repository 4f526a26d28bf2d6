"""A teacher that combines others: by fixed weights, by region, or by how good each is."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Self, get_args

import torch
from torch import Tensor, nn

from kdkit.batch import Batch
from kdkit.errors import BatchError, CheckpointError, ConfigurationError
from kdkit.teacher import Teacher
from kdkit.weighting.combination import (
    Combination,
    FixedCombination,
    RegionCombination,
    ScoreCombination,
    TeacherWeight,
    as_number,
)
from kdkit.weighting.score import Score
from kdkit.weighting.shares import Choice


class EnsembleTeacher(Teacher):
    """Several teachers' targets combined into one, by weights that sum to 1 at each place.

    The weights are one of

    - numbers, one a teacher, divided by their sum; a teacher of the number 0 is not run;
    - regions, one a teacher, where numbers may stand among them: batch fields or functions of the batch, laid
      on the target from the left. At each place they are divided by their sum; where all are 0 all teachers
      count alike;
    - a :class:`kdkit.weighting.Score` that compares the teachers' targets: the shares are the softmax over the
      teachers of its logarithm, that is, each teacher's score divided by the sum of all.

    Args:
        name: the teacher's name, unique within a run.
        teachers: at least one teacher; the ensemble gives the outputs that all of them give.
        weights: see above; equal by default. In a region, what is below 0 counts as 0.
        choose: ``share`` averages by the weights; ``best`` takes at each place the target of the teacher with
            the largest weight, of equals the first. ``best`` needs regions or a score.
        score_on: the output whose targets are scored, for all outputs; by default each output is by its own.

    Raises:
        ConfigurationError: if there is no teacher, no common output, or the weights do not fit.

    Example:
        >>> import torch
        >>> from kdkit import ModuleTeacher
        >>> first = ModuleTeacher("first", torch.nn.Identity(), inputs="a", outputs="depth")
        >>> second = ModuleTeacher("second", torch.nn.Identity(), inputs="b", outputs="depth")
        >>> batch = {"a": torch.ones(1, 2), "b": torch.zeros(1, 2), "near": torch.tensor([[1.0, 0.0]])}
        >>> EnsembleTeacher("both", [first, second], weights=[3, 1]).targets(batch)["depth"]
        tensor([[0.7500, 0.7500]])
        >>> by_region = EnsembleTeacher("both", [first, second], weights=["near", lambda batch: 1 - batch["near"]])
        >>> by_region.targets(batch)["depth"]
        tensor([[1., 0.]])
    """

    def __init__(
        self,
        name: str,
        teachers: Sequence[Teacher],
        weights: Sequence[TeacherWeight] | Score | None = None,
        choose: Choice = "share",
        *,
        score_on: str | None = None,
    ) -> None:
        self.name = name
        self.score_on = score_on
        self.teachers = tuple(teachers)
        if not self.teachers:
            raise ConfigurationError(f"ensemble '{name}' needs at least one teacher")
        self.outputs = tuple(
            output
            for output in self.teachers[0].outputs
            if all(output in teacher.outputs for teacher in self.teachers)
        )
        if not self.outputs:
            raise ConfigurationError(f"ensemble '{name}': its teachers have no output in common")
        if score_on is not None and (score_on not in self.outputs or not isinstance(weights, Score)):
            raise ConfigurationError(
                f"ensemble '{name}': score_on='{score_on}' needs a Score as weights, and must be one of the "
                f"outputs {list(self.outputs)}"
            )
        if choose not in get_args(Choice):
            raise ConfigurationError(f"ensemble '{name}': choose='{choose}' must be 'share' or 'best'")
        try:
            self._combination = _combination(len(self.teachers), weights, choose, score_on)
        except ConfigurationError as error:
            raise ConfigurationError(f"ensemble '{name}': {error}") from error
        fields = [teacher.reads for teacher in self.teachers]
        self.reads = tuple(dict.fromkeys(chain(*fields, self._combination.reads)))

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the combined targets; a teacher of the number 0 is not run.

        Raises:
            BatchError: if the teachers' targets differ in shape, or weights do not fit them.
        """
        given = [
            teacher.targets(batch) for index, teacher in enumerate(self.teachers) if self._combination.runs(index)
        ]
        for output in self.outputs:
            self._check_shapes(output, [tuple(targets[output].shape) for targets in given])
        try:
            with torch.no_grad():
                return self._combination.combine(self.outputs, given, batch)
        except BatchError as error:
            raise BatchError(f"ensemble '{self.name}': {error}") from error

    def _check_shapes(self, output: str, shapes: Sequence[tuple[int, ...]]) -> None:
        if len(set(shapes)) == 1:
            return
        first = shapes[0]
        differs_in_size = any(shape[2:] != first[2:] for shape in shapes)
        remedy = f"Resize({', '.join(map(str, first[2:]))})" if differs_in_size else "Channels(order)"
        raise BatchError(
            f"ensemble '{self.name}': its teachers give '{output}' in the shapes {sorted(set(shapes))}: only "
            f"targets of one shape can be combined; wrap the others as TransformedTeacher(teacher, "
            f"outputs={{'{output}': {remedy}}})"
        )

    def to(self, device: torch.device) -> Self:
        """Move every teacher to ``device``."""
        for teacher in self.teachers:
            teacher.to(device)
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of all teachers."""
        return chain.from_iterable(teacher.parameters() for teacher in self.teachers)

    @property
    def members(self) -> tuple[Teacher, ...]:
        """The teachers' members, each once."""
        return tuple(dict.fromkeys(chain.from_iterable(teacher.members for teacher in self.teachers)))

    def state_dict(self) -> dict[str, Any]:
        """Return every teacher's state, each name behind the teacher's place in the ensemble and a dot."""
        return {
            f"{index}.{key}": value
            for index, teacher in enumerate(self.teachers)
            for key, value in teacher.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give every teacher its state.

        Raises:
            CheckpointError: if the state is of another ensemble.
        """
        places = [str(index) for index in range(len(self.teachers))]
        if strange := [key for key in state if key.partition(".")[0] not in places]:
            raise CheckpointError(
                f"ensemble '{self.name}' has {len(self.teachers)} teachers, but the state holds {strange}: it "
                f"is of another ensemble"
            )
        for index, teacher in enumerate(self.teachers):
            prefix = f"{index}."
            own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            teacher.load_state_dict(own)

    def __repr__(self) -> str:
        return f"EnsembleTeacher({self.name!r}, {list(self.teachers)}, {self._combination!r})"


def _combination(
    teachers: int, weights: Sequence[TeacherWeight] | Score | None, choose: Choice, score_on: str | None
) -> Combination:
    if isinstance(weights, Score):
        return ScoreCombination(weights, choose, score_on)
    if weights is None:
        weights = (1.0,) * teachers
    if not isinstance(weights, Iterable) or isinstance(weights, str):
        raise ConfigurationError(
            f"the weights {weights!r} must be a Score, or a sequence of one number or region a teacher"
        )
    weights = tuple(weights)
    if len(weights) != teachers:
        raise ConfigurationError(f"it has {teachers} teachers and {len(weights)} weights: give one each")
    if any(isinstance(weight, str) or callable(weight) for weight in weights):
        return RegionCombination(weights, choose)
    if choose == "best":
        raise ConfigurationError("choose='best' needs a Score or regions: numbers would always choose the same")
    return FixedCombination(tuple(as_number(weight) for weight in weights))
