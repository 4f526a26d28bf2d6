"""A stage of a curriculum."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from kdkit.condition import Condition
from kdkit.distill import Distill
from kdkit.errors import ConfigurationError
from kdkit.objective import Objective
from kdkit.schedule import Schedule, as_schedule
from kdkit.teacher import Teacher


@dataclass(frozen=True)
class Stage:
    """Objectives that hold until a condition is met, and what changes on entry.

    The distiller freezes parts and moves teachers itself. ``learning_rate``, ``warmup_steps`` and
    ``optimizer`` are the :class:`~kdkit.Trainer`'s to apply; a loop of one's own does so for itself.

    Args:
        name: unique within the curriculum.
        objectives: at least one.
        until: when the stage is over.
        learning_rate: the optimizer's learning rate in this stage, a number or a schedule; by default the
            optimizer's own. With several parameter groups the first gets this rate and the others keep their
            ratio to it.
        warmup_steps: optimizer steps over which the rate rises linearly to its value at the stage's start.
        optimizer: ``keep`` its state (momenta) from the stage before, or start ``fresh``.
        freeze: dotted names of the student's parts that do not train in this stage.

    Raises:
        ConfigurationError: if something is missing, repeated, or needs a length that the stage does not have.
    """

    name: str
    objectives: Sequence[Objective]
    until: Condition
    learning_rate: float | Schedule | None = field(default=None, kw_only=True)
    warmup_steps: int = field(default=0, kw_only=True)
    optimizer: Literal["keep", "fresh"] = field(default="keep", kw_only=True)
    freeze: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.freeze, str):
            raise ConfigurationError(f"stage '{self.name}': freeze={self.freeze!r} must be a list of names")
        if not isinstance(self.objectives, Sequence):
            raise ConfigurationError(f"stage '{self.name}' needs a list of Supervise and Distill objectives")
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "freeze", tuple(self.freeze))
        if self.learning_rate is not None:
            rate = as_schedule(self.learning_rate, f"stage '{self.name}': the learning rate")
            object.__setattr__(self, "learning_rate", rate)
        self._check()

    def _check(self) -> None:
        if not self.objectives or not all(isinstance(item, Objective) for item in self.objectives):
            raise ConfigurationError(f"stage '{self.name}' needs a list of Supervise and Distill objectives")
        if not isinstance(self.until, Condition):
            raise ConfigurationError(
                f"stage '{self.name}': until={self.until!r} must be a condition, as Epochs(100) or Steps(5000)"
            )
        names = [objective.name for objective in self.objectives]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(
                    f"stage '{self.name}' has two objectives named '{name}': give one another name=..."
                )
        if all(objective.is_off for objective in self.objectives):
            raise ConfigurationError(f"stage '{self.name}': every objective's weight is 0, nothing is learned")
        if self.optimizer not in ("keep", "fresh"):
            raise ConfigurationError(
                f"stage '{self.name}': optimizer '{self.optimizer}' must be 'keep' or 'fresh'"
            )
        if self.warmup_steps < 0:
            raise ConfigurationError(f"stage '{self.name}': warmup_steps {self.warmup_steps} is negative")
        self._check_schedules()

    def _check_schedules(self) -> None:
        has_length = self.until.length() is not None
        for what, schedule in self.schedules():
            if "stage" in schedule.spans and not has_length:
                raise ConfigurationError(
                    f"stage '{self.name}': {what} changes over the stage, {schedule!r}, but the stage has no "
                    f"length: let it end by epochs alone or by steps alone, as Epochs(100), or such a one and a "
                    f"condition, as Plateau('val/AP') | Epochs(100)"
                )

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Yield every schedule of the stage, with words that say whose it is."""
        for objective in self.objectives:
            for what, schedule in objective.schedules():
                yield f"{what} of '{objective.name}'", schedule
        if isinstance(self.learning_rate, Schedule):
            yield "the learning rate", self.learning_rate

    @cached_property
    def teachers(self) -> tuple[Teacher, ...]:
        """The teachers that the stage needs, each once: those of objectives whose weight is not always 0."""
        return tuple(
            dict.fromkeys(
                objective.teacher
                for objective in self.objectives
                if isinstance(objective, Distill) and not objective.is_off
            )
        )

    @cached_property
    def members(self) -> tuple[Teacher, ...]:
        """What those teachers are made of, each once."""
        return tuple(dict.fromkeys(member for teacher in self.teachers for member in teacher.members))
