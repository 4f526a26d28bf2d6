"""A value that rises or falls in a part of its span."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kdkit.errors import ConfigurationError
from kdkit.schedule import Schedule, Span

_FLOOR = math.exp(-5)

_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda part: part,
    "cosine": lambda part: (1 - math.cos(math.pi * part)) / 2,
    "sigmoid": lambda part: (math.exp(-5 * (1 - part) ** 2) - _FLOOR) / (1 - _FLOOR),
}


@dataclass(frozen=True)
class Ramp(Schedule):
    """From ``start`` to ``end`` between two points of the span, and constant before and after them.

    A ramp from 0 is exactly 0 until its ``begin``, so that until then its objective costs nothing.

    Args:
        start: the value up to ``begin``.
        end: the value from ``until`` on.
        begin: the progress at which the ramp begins.
        until: the progress at which it has ended.
        shape: ``linear``; ``cosine``, half a wave, flat at both ends; or ``sigmoid``, with x the part of the
            ramp that is done, (exp(-5 (1 - x)^2) - exp(-5)) / (1 - exp(-5)): slow first, flat at the end.
        over: the stage, or the run.

    Raises:
        ConfigurationError: if not 0 <= begin < until <= 1, or the shape is none of the three.

    Source of the sigmoid: Laine and Aila, Temporal Ensembling (arXiv 1610.02242), section 3.1: exp(-5 (1 - x)^2)
    over the first 80 epochs. Theirs jumps from 0 to 0.0067 at its begin; here it is scaled to leave ``start``
    without a jump.

    >>> weight = Ramp(0.0, 1.0, begin=0.2, until=0.6)
    >>> [round(weight(progress), 2) for progress in (0.0, 0.2, 0.3, 0.6, 1.0)]
    [0.0, 0.0, 0.25, 1.0, 1.0]
    """

    start: float
    end: float
    begin: float = 0.0
    until: float = 1.0
    shape: Literal["linear", "cosine", "sigmoid"] = "linear"
    over: Span = "stage"

    def __post_init__(self) -> None:
        self._validate()
        if not 0 <= self.begin < self.until <= 1:
            raise ConfigurationError(
                f"{self!r}: begin and until are parts of the span, 0 <= begin < until <= 1; for a jump use Step"
            )
        if self.shape not in _SHAPES:
            raise ConfigurationError(f"{self!r}: shape must be one of {', '.join(_SHAPES)}")

    def __call__(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""
        if progress <= self.begin:
            return self.start
        if progress >= self.until:
            return self.end
        part = (progress - self.begin) / (self.until - self.begin)
        value = self.start + (self.end - self.start) * _SHAPES[self.shape](part)
        # Rounding must not carry it past its end.
        return min(max(value, min(self.values())), max(self.values()))

    def values(self) -> tuple[float, ...]:
        """Return start and end."""
        return (self.start, self.end)

    def __str__(self) -> str:
        part = f" from {100 * self.begin:.3g} to {100 * self.until:.3g} % of the {self.over}"
        whole = (self.begin, self.until) == (0, 1)
        return f"{self.start:g} -> {self.end:g}, {self.shape}{self._over_words if whole else part}"
