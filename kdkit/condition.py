"""When a stage ends: conditions on its progress, joined with ``|`` and ``&``."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from kdkit.errors import ConfigurationError


@dataclass(frozen=True)
class StageProgress:
    """How far a stage has come: all that conditions and schedules may depend on.

    Attributes:
        steps: optimizer steps since the stage began.
        epochs: epochs ended since the stage began.
        epoch_steps: steps since the last epoch ended, or since the stage began.
        history: the metrics of every epoch of the stage that was evaluated, in order.
        run_steps: optimizer steps since the run began.
        run_epochs: epochs ended since the run began.
    """

    steps: int = 0
    epochs: int = 0
    epoch_steps: int = 0
    history: tuple[Mapping[str, float], ...] = ()
    run_steps: int = 0
    run_epochs: int = 0


class Length(NamedTuple):
    """The most that a stage can last."""

    amount: int
    unit: Literal["epochs", "steps"]


class Condition(ABC):
    """A pure function of a stage's progress: it holds no state, so a resumed run asks the same question."""

    @abstractmethod
    def met(self, progress: StageProgress) -> bool:
        """Return whether the stage is over."""

    def length(self, started: int = 0) -> Length | None:
        """Return the most the stage can last, or None where only metrics decide.

        Args:
            started: how long the run has lasted when the stage begins, in the length's unit.
        """
        return None

    @property
    def counts_run(self) -> bool:
        """Whether the run's length counts, and not the stage's alone: then the stage lasts as long as is left."""
        return False

    def fraction(self, progress: StageProgress, steps_per_epoch: int | None) -> float | None:
        """Return the progress in [0, 1], or None where only metrics decide.

        Args:
            progress: of the stage.
            steps_per_epoch: to count parts of an epoch; None counts whole epochs only.
        """
        return None

    def metrics(self) -> frozenset[str]:
        """Return the names of the metrics it waits for."""
        return frozenset()

    def modes(self) -> frozenset[tuple[str, str]]:
        """Return each metric with the mode it is judged by, where it is by one."""
        return frozenset()

    def __or__(self, other: "Condition") -> "Condition":
        return Joined(self, other, any_of=True)

    def __and__(self, other: "Condition") -> "Condition":
        return Joined(self, other, any_of=False)


def epoch_part(progress: StageProgress, steps_per_epoch: int | None) -> float:
    """Return how much of the running epoch is done, in [0, 1]; 0 where nobody knows how long one is."""
    return min(progress.epoch_steps / steps_per_epoch, 1.0) if steps_per_epoch else 0.0


def require_count(count: int, what: str) -> None:
    """Raise a ConfigurationError that names what is counted unless the count is a whole number of at least 1."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigurationError(f"{what} must be a whole number of at least 1, found {count!r}")


@dataclass(frozen=True)
class Epochs(Condition):
    """Met after so many epochs of the stage."""

    count: int

    def __post_init__(self) -> None:
        require_count(self.count, "Epochs")

    def met(self, progress: StageProgress) -> bool:
        """Return whether the epochs have ended."""
        return progress.epochs >= self.count

    def length(self, started: int = 0) -> Length:
        """Return the epochs."""
        return Length(self.count, "epochs")

    def fraction(self, progress: StageProgress, steps_per_epoch: int | None) -> float:
        """Return the epochs done, with the part of the running one, over the count."""
        return min((progress.epochs + epoch_part(progress, steps_per_epoch)) / self.count, 1.0)


@dataclass(frozen=True)
class Steps(Condition):
    """Met after so many optimizer steps of the stage, also in the middle of an epoch."""

    count: int

    def __post_init__(self) -> None:
        require_count(self.count, "Steps")

    def met(self, progress: StageProgress) -> bool:
        """Return whether the steps are done."""
        return progress.steps >= self.count

    def length(self, started: int = 0) -> Length:
        """Return the steps."""
        return Length(self.count, "steps")

    def fraction(self, progress: StageProgress, steps_per_epoch: int | None) -> float:
        """Return the steps done over the count."""
        return min(progress.steps / self.count, 1.0)


@dataclass(frozen=True)
class Plateau(Condition):
    """Met when a metric has not improved for ``patience`` evaluations in a row.

    Args:
        metric: its name, as the evaluation gives it (``"val/AP"``).
        patience: evaluations without improvement that end the stage.
        mode: whether larger (``max``) or smaller (``min``) is better.
        min_delta: how much better than the best so far counts as an improvement.
    """

    metric: str
    patience: int
    mode: Literal["max", "min"] = "max"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        require_count(self.patience, "Plateau: patience")
        _require_mode(self.mode, "Plateau")
        if not 0 <= self.min_delta < math.inf:
            raise ConfigurationError(f"Plateau: min_delta {self.min_delta} must be finite and not negative")

    def met(self, progress: StageProgress) -> bool:
        """Return whether the patience is used up."""
        best, waited = -math.inf, 0
        for value in _series(progress, self.metric, self.mode):
            if value > best + self.min_delta:
                best, waited = value, 0
            else:
                waited += 1
            if waited >= self.patience:
                return True
        return False

    def metrics(self) -> frozenset[str]:
        """Return the metric."""
        return frozenset({self.metric})

    def modes(self) -> frozenset[tuple[str, str]]:
        """Return the metric and its mode."""
        return frozenset({(self.metric, self.mode)})


@dataclass(frozen=True)
class Reached(Condition):
    """Met when a metric has reached a value: at least it (``max``) or at most it (``min``)."""

    metric: str
    value: float
    mode: Literal["max", "min"] = "max"

    def __post_init__(self) -> None:
        _require_mode(self.mode, "Reached")
        if not math.isfinite(self.value):
            raise ConfigurationError(f"Reached: the value {self.value} must be finite")

    def met(self, progress: StageProgress) -> bool:
        """Return whether any evaluation in the stage has reached the value."""
        goal = self.value if self.mode == "max" else -self.value
        return any(value >= goal for value in _series(progress, self.metric, self.mode))

    def metrics(self) -> frozenset[str]:
        """Return the metric."""
        return frozenset({self.metric})

    def modes(self) -> frozenset[tuple[str, str]]:
        """Return the metric and its mode."""
        return frozenset({(self.metric, self.mode)})


@dataclass(frozen=True)
class Joined(Condition):
    """Two conditions joined by ``|`` (either) or ``&`` (both)."""

    left: Condition
    right: Condition
    any_of: bool = field(kw_only=True)

    def met(self, progress: StageProgress) -> bool:
        """Return whether either, or both, are met."""
        return self._either((self.left.met(progress), self.right.met(progress)))

    def length(self, started: int = 0) -> Length | None:
        """Return the shorter (``|``) or longer (``&``) length; None where the units differ."""
        sides = (self.left.length(started), self.right.length(started))
        lengths = [length for length in sides if length is not None]
        if (not self.any_of and len(lengths) < 2) or len({length.unit for length in lengths}) != 1:
            return None
        return min(lengths) if self.any_of else max(lengths)

    @property
    def counts_run(self) -> bool:
        """Whether either counts the run's length."""
        return self.left.counts_run or self.right.counts_run

    def fraction(self, progress: StageProgress, steps_per_epoch: int | None) -> float | None:
        """Return the larger (``|``) or smaller (``&``) of the known fractions."""
        sides = (side.fraction(progress, steps_per_epoch) for side in (self.left, self.right))
        known = [side for side in sides if side is not None]
        if not known:
            return None
        return max(known) if self.any_of else min(known)

    def metrics(self) -> frozenset[str]:
        """Return the metrics of both."""
        return self.left.metrics() | self.right.metrics()

    def modes(self) -> frozenset[tuple[str, str]]:
        """Return the modes of both."""
        return self.left.modes() | self.right.modes()

    @property
    def _either(self) -> Callable[[tuple[bool, bool]], bool]:
        return any if self.any_of else all

    def __repr__(self) -> str:
        return f"({self.left!r} {'|' if self.any_of else '&'} {self.right!r})"


def _require_mode(mode: str, what: str) -> None:
    if mode not in ("max", "min"):
        raise ConfigurationError(f"{what}: mode '{mode}' must be 'max' or 'min'")


def _series(progress: StageProgress, metric: str, mode: str) -> list[float]:
    """Return the metric's values in the stage, turned so that larger is better; NaN is the worst there is."""
    sign = 1.0 if mode == "max" else -1.0
    values = [sign * metrics[metric] for metrics in progress.history if metric in metrics]
    return [-math.inf if math.isnan(value) else value for value in values]
