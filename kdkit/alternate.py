"""A value that goes round a list, by counting steps or epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kdkit.errors import ConfigurationError
from kdkit.moment import Moment
from kdkit.schedule import Schedule, Span

Unit = Literal["steps", "epochs"]


@dataclass(frozen=True, init=False, repr=False)
class Alternate(Schedule):
    """One value after the other, again and again, as the stage's steps or epochs are counted.

    Two teachers in turn, of which only one is run at a step: ``weight=Alternate((1.0, 0.0))`` for the one and
    ``weight=Alternate((0.0, 1.0))`` for the other. No length needs to be known.

    Args:
        values: at least one; the stage begins with the first.
        every: how many steps or epochs each value holds for.
        unit: whether optimizer ``steps`` or ``epochs`` of the stage are counted.

    Raises:
        ConfigurationError: if there is no value, ``every`` is no whole number above 0, or the unit is neither.

    >>> weight = Alternate((1.0, 0.0), every=2)
    >>> [weight.at(Moment(steps=step)) for step in range(5)]
    [1.0, 1.0, 0.0, 0.0, 1.0]
    """

    turns: tuple[float, ...]
    every: int
    unit: Unit

    def __init__(self, values: Sequence[float] = (1.0, 0.0), every: int = 1, unit: Unit = "steps") -> None:
        object.__setattr__(self, "turns", tuple(values))
        object.__setattr__(self, "every", every)
        object.__setattr__(self, "unit", unit)
        if not self.turns:
            raise ConfigurationError("Alternate needs at least one value, as Alternate((1.0, 0.0))")
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigurationError(f"{self!r}: every must be a whole number of at least 1")
        if unit not in ("steps", "epochs"):
            raise ConfigurationError(f"{self!r}: unit must be 'steps' or 'epochs'")
        self._validate()

    def at(self, moment: Moment) -> float:
        """Return the value whose turn it is."""
        count = moment.steps if self.unit == "steps" else moment.epochs
        return self.turns[count // self.every % len(self.turns)]

    def __call__(self, progress: float) -> float:
        """Raise a ConfigurationError: progress does not say whose turn it is, only :meth:`at` can."""
        raise ConfigurationError(f"{self!r} counts {self.unit}: ask it at(moment), not by progress")

    def values(self) -> tuple[float, ...]:
        """Return the values in order."""
        return self.turns

    @property
    def spans(self) -> frozenset[Span]:
        """Nothing: it counts, whatever the lengths."""
        return frozenset()

    def __repr__(self) -> str:
        return f"Alternate({self.turns}, every={self.every}, unit={self.unit!r})"

    def __str__(self) -> str:
        turns = ", ".join(f"{value:g}" for value in self.turns)
        return f"{turns} in turn, every {f'{self.every} {self.unit}' if self.every > 1 else self.unit[:-1]}"
