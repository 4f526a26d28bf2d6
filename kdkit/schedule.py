"""Values that change over a stage or over the whole run: objective weights and learning rates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kdkit.errors import ConfigurationError

Span = Literal["stage", "run"]


class Schedule(ABC):
    """A value as a function of progress, which goes from 0 (start) to 1 (end) over a stage or over the run."""

    over: Span

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""

    @abstractmethod
    def values(self) -> tuple[float, ...]:
        """Return the values that bound the schedule: none is finite unless all of these are."""

    @property
    def is_constant(self) -> bool:
        """Whether the value never changes, so that no length needs to be known."""
        return len(set(self.values())) == 1

    def _validate(self) -> None:
        if self.over not in ("stage", "run"):
            raise ConfigurationError(f"{self!r}: over must be 'stage' or 'run'")
        if not all(math.isfinite(value) for value in self.values()):
            raise ConfigurationError(f"{self!r}: every value must be finite")


@dataclass(frozen=True)
class Constant(Schedule):
    """The same value throughout."""

    value: float
    over: Span = "stage"

    def __post_init__(self) -> None:
        self._validate()

    def __call__(self, progress: float) -> float:
        """Return the value."""
        return self.value

    def values(self) -> tuple[float, ...]:
        """Return the one value."""
        return (self.value,)


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from ``start`` to ``end``.

    >>> Linear(0.0, 0.5)(0.5)
    0.25
    """

    start: float
    end: float
    over: Span = "stage"

    def __post_init__(self) -> None:
        self._validate()

    def __call__(self, progress: float) -> float:
        """Return start + (end - start) * progress."""
        return self.start + (self.end - self.start) * progress

    def values(self) -> tuple[float, ...]:
        """Return start and end."""
        return (self.start, self.end)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave from ``start`` to ``end``, flat at both.

    Source: Loshchilov and Hutter, SGDR (arXiv 1608.03983), equation 5.
    """

    start: float
    end: float
    over: Span = "stage"

    def __post_init__(self) -> None:
        self._validate()

    def __call__(self, progress: float) -> float:
        """Return end + (start - end) * (1 + cos(pi * progress)) / 2."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2

    def values(self) -> tuple[float, ...]:
        """Return start and end."""
        return (self.start, self.end)


@dataclass(frozen=True)
class Step(Schedule):
    """A value that jumps at given points.

    Args:
        start: the value from 0 on.
        changes: the new value by the progress at which it holds from; for HRNet's rate of 1e-3, times 0.1
            at epochs 170 and 200 of 210: ``Step(1e-3, {170 / 210: 1e-4, 200 / 210: 1e-5})``.

    >>> Step(1.0, {0.5: 0.1})(0.75)
    0.1
    """

    start: float
    changes: Mapping[float, float]
    over: Span = "stage"

    def __post_init__(self) -> None:
        self._validate()
        if not all(0 < point < 1 for point in self.changes):
            raise ConfigurationError(f"{self!r}: every change must lie between 0 and 1, as a part of the span")

    def __call__(self, progress: float) -> float:
        """Return the value of the last change at or before this progress."""
        value = self.start
        for point in sorted(self.changes):
            if progress >= point:
                value = self.changes[point]
        return value

    def values(self) -> tuple[float, ...]:
        """Return every value it takes."""
        return (self.start, *self.changes.values())


def as_schedule(value: "float | Schedule", what: str) -> Schedule:
    """Return a schedule: the one given, or a constant of the number given.

    Raises:
        ConfigurationError: if it is neither, or not finite; ``what`` says whose value it is.
    """
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigurationError(f"{what} must be a number or a Schedule, found {value!r}")
    if not math.isfinite(value):
        raise ConfigurationError(f"{what} must be finite, found {value!r}")
    return Constant(float(value))
