"""What a figure is, and what it should be at least or at most; without a bound it is only shown."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Bounds:
    """What a value should be at least or at most.

    Args:
        at_least: the smallest value that meets the target.
        at_most: the largest.
    """

    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool | None:
        """Return whether a value is within the bounds; None where there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        enough = self.at_least is None or value >= self.at_least
        return enough and (self.at_most is None or value <= self.at_most)


class Target(Bounds, ABC):
    """A quantity made of candidates' times, and its bounds."""

    name: ClassVar[str]
    compares: ClassVar[bool]  # with another candidate

    @property
    @abstractmethod
    def unit(self) -> str:
        """What the quantity is in; empty for a ratio."""

    @abstractmethod
    def quantity(self, seconds: Array, reference: Array | None) -> Array:
        """Return each round's quantity, of the candidate's seconds and of the reference's in the same rounds."""


class Comparison(Target):
    """A quantity of two candidates."""

    compares = True

    def quantity(self, seconds: Array, reference: Array | None) -> Array:
        if reference is None:
            raise TypeError(f"{type(self).__name__} needs a candidate to compare with")
        return self.compared(seconds, reference)

    @abstractmethod
    def compared(self, seconds: Array, reference: Array) -> Array:
        """Return the quantity of both candidates' seconds in the same rounds."""


class Speed(Comparison):
    """How many times as fast the candidate is as the reference."""

    name, unit = "speed", ""

    def compared(self, seconds: Array, reference: Array) -> Array:
        return reference / seconds


class Time(Comparison):
    """How many times as long the candidate takes as the reference."""

    name, unit = "time", ""

    def compared(self, seconds: Array, reference: Array) -> Array:
        return seconds / reference


class ExtraSeconds(Comparison):
    """How many seconds longer a call of the candidate takes than one of the reference."""

    name, unit = "extra time", "s"

    def compared(self, seconds: Array, reference: Array) -> Array:
        return seconds - reference


class Seconds(Target):
    """What a call of the candidate takes."""

    name, unit, compares = "time", "s", False

    def quantity(self, seconds: Array, reference: Array | None) -> Array:
        return seconds


@dataclass(frozen=True)
class PerSecond(Target):
    """How many things a second the candidate handles.

    Args:
        items: how many there are in one call.
        things: what they are.
    """

    items: int = 1
    things: str = "items"

    name, compares = "rate", False

    @property
    def unit(self) -> str:
        return f"{self.things}/s"

    def quantity(self, seconds: Array, reference: Array | None) -> Array:
        return self.items / seconds
