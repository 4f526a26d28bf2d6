"""Values that change over a stage or over the whole run: objective weights and learning rates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kdkit.errors import ConfigurationError
from kdkit.moment import Moment

Span = Literal["stage", "run"]


class Schedule(ABC):
    """A value that depends on the moment: on progress, from 0 (start) to 1 (end) over a stage or the run.

    Schedules are multiplied with ``*``, by numbers and by each other. ``str`` says one in a few words.

    Attributes:
        over: whose progress counts.
    """

    over: Span = "stage"

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""

    def at(self, moment: Moment) -> float:
        """Return the value at a moment.

        Raises:
            ConfigurationError: if the value changes with a progress that the moment does not know.
        """
        if self.is_constant:
            return self.values()[0]
        progress = moment.stage if self.over == "stage" else moment.run
        if progress is None:
            raise ConfigurationError(
                f"{self!r} changes over the {self.over}, whose progress is not known: only a {self.over} with a "
                f"length has one"
            )
        return self(progress)

    @abstractmethod
    def values(self) -> tuple[float, ...]:
        """Return the values that bound the schedule: none is finite unless all of these are."""

    @property
    def is_constant(self) -> bool:
        """Whether the value never changes, so that no length needs to be known."""
        return len(set(self.values())) == 1

    @property
    def spans(self) -> frozenset[Span]:
        """What must have a length, the stage or the run, for the value to be known."""
        return frozenset() if self.is_constant else frozenset({self.over})

    @property
    def needs_length(self) -> bool:
        """Whether the value depends on progress, so that a length needs to be known."""
        return bool(self.spans)

    def __mul__(self, other: "float | Schedule") -> "Schedule":
        if not isinstance(other, Schedule | int | float):
            return NotImplemented
        return Product(self, as_schedule(other, "the factor of a schedule"))

    def __rmul__(self, other: float) -> "Schedule":
        if not isinstance(other, int | float):
            return NotImplemented
        return Product(as_schedule(other, "the factor of a schedule"), self)

    def __str__(self) -> str:
        return repr(self)

    def _validate(self) -> None:
        if self.over not in ("stage", "run"):
            raise ConfigurationError(f"{self!r}: over must be 'stage' or 'run'")
        if not all(math.isfinite(value) for value in self.values()):
            raise ConfigurationError(f"{self!r}: every value must be finite")

    @property
    def _over_words(self) -> str:
        return " over the run" if self.over == "run" else ""


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

    def __str__(self) -> str:
        return f"{self.value:g}"


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

    def __str__(self) -> str:
        return f"{self.start:g} -> {self.end:g}, linear{self._over_words}"


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

    def __str__(self) -> str:
        return f"{self.start:g} -> {self.end:g}, cosine{self._over_words}"


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

    def __str__(self) -> str:
        changes = (f"{self.changes[point]:g} at {100 * point:.3g} %" for point in sorted(self.changes))
        return f"{self.start:g} -> {', '.join(changes)} of the {self.over}"


@dataclass(frozen=True)
class Product(Schedule):
    """The product of two schedules, each over its own span; made by ``*``.

    >>> half = 0.5 * Linear(0.0, 1.0)
    >>> half(0.5), str(half)
    (0.25, '0.5 x (0 -> 1, linear)')
    """

    left: Schedule
    right: Schedule

    def __call__(self, progress: float) -> float:
        """Return the product of both at the same progress, each of its own span."""
        return self.left(progress) * self.right(progress)

    def at(self, moment: Moment) -> float:
        """Return the product of both at a moment."""
        return self.values()[0] if self.is_constant else self.left.at(moment) * self.right.at(moment)

    def values(self) -> tuple[float, ...]:
        """Return the products of the values that bound either."""
        return tuple(left * right for left in self.left.values() for right in self.right.values())

    @property
    def spans(self) -> frozenset[Span]:
        """What either needs the length of."""
        return frozenset() if self.is_constant else self.left.spans | self.right.spans

    def __repr__(self) -> str:
        sides = (side.value if isinstance(side, Constant) else side for side in (self.left, self.right))
        return "({!r} * {!r})".format(*sides)

    def __str__(self) -> str:
        sides = (str(side) for side in (self.left, self.right))
        return " x ".join(f"({side})" if " " in side else side for side in sides)


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
