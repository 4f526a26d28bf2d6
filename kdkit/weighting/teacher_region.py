"""A teacher's own map of where it is to be believed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.naming import callable_name
from kdkit.step_context import StepContext
from kdkit.teacher import Teacher
from kdkit.weighting.weighting import Weighting


@dataclass(frozen=True, repr=False)
class TeacherRegion(Weighting):
    """Another output of a teacher as weights: its confidence map, its mask, its uncertainty.

    The teacher must be one that some objective of the same stage learns from; it is run once a step for both.

    Args:
        teacher: the teacher, or its name.
        output: the output that gives the weights, not negative.
        map: applied to the output, for example ``torch.sigmoid``.

    Raises:
        ConfigurationError: if the teacher lacks the output.

    Example:
        >>> from kdkit.step_context import StepContext
        >>> targets = {"senior": {"doubt": torch.tensor([[0.0], [1.0]])}}
        >>> context = StepContext(batch={}, targets=targets, predictions={}, value=lambda schedule: schedule(0.0))
        >>> region = TeacherRegion("senior", "doubt", map=lambda doubt: 1 - doubt)
        >>> region.weigh(torch.zeros(2, 1), context)
        tensor([[1.],
                [0.]])
    """

    teacher: str | Teacher
    output: str
    map: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.teacher, Teacher):
            if self.output not in self.teacher.outputs:
                raise ConfigurationError(
                    f"TeacherRegion: teacher '{self.teacher.name}' has no output '{self.output}', only "
                    f"{list(self.teacher.outputs)}"
                )
            # Only the name: a description holds no network.
            object.__setattr__(self, "teacher", self.teacher.name)
        if self.map is not None and not callable(self.map):
            raise ConfigurationError(f"TeacherRegion: the map {self.map!r} is not a function")

    def weigh(self, target: Tensor, context: StepContext) -> Tensor:
        """Return the output, mapped.

        Raises:
            BatchError: if the teacher was not run in this step, or did not give the output.
        """
        name = str(self.teacher)
        if name not in context.targets:
            raise BatchError(
                f"{self!r}: teacher '{name}' was not run in this step (run were: {sorted(context.targets)}): an "
                f"objective of the stage, whose weight is not always 0, must learn from it"
            )
        if self.output not in context.targets[name]:
            raise BatchError(
                f"{self!r}: teacher '{name}' gave no '{self.output}', only {sorted(context.targets[name])}"
            )
        with torch.no_grad():
            weights = context.targets[name][self.output].detach()
            return weights if self.map is None else self.map(weights)

    def __repr__(self) -> str:
        mapped = "" if self.map is None else f", map={callable_name(self.map)}"
        return f"TeacherRegion({self.teacher!r}, {self.output!r}{mapped})"
