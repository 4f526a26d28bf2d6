"""Candidates take turns, round by round, so that the machine's noise hits all alike.

What is compared is what stands side by side in time: a quantity is taken of each round's two times, and its median
over the rounds is the figure. A machine that slows down for a second or a minute slows both of a pair, and leaves
their ratio alone; a ratio of the two medians would not be spared. A pair's order is drawn at random, as often one
way as the other, so that neither drift, nor what comes first in a round, nor the period of the inputs favours
anyone. No pair is left out.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice, repeat
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring.clocks import Clock
from benchmarks.measuring.targets import Target

Candidate: TypeAlias = Callable[..., object]
RESAMPLES = 2000
FEWEST_ROUNDS, MOST_ROUNDS = 7, 200


@dataclass(frozen=True)
class Turns:
    """What the candidates took.

    Attributes:
        seconds: by label the seconds of one call, [rounds]; those of one round stand at the same place.
    """

    seconds: Mapping[str, NDArray[np.float64]]

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return len(next(iter(self.seconds.values())))

    @property
    def medians(self) -> dict[str, float]:
        """Each candidate's median, in seconds."""
        return {label: float(np.median(times)) for label, times in self.seconds.items()}

    def estimate(self, target: Target, of: str, to: str | None) -> tuple[float, float, float]:
        """Return the median of a target's quantity over the rounds, and its 95 per cent interval by a bootstrap of
        them."""
        quantities = target.quantity(self.seconds[of], self.seconds[to] if to is not None else None)
        drawn = np.random.default_rng(0).integers(0, self.rounds, (RESAMPLES, self.rounds))
        low, high = np.quantile(np.median(quantities[drawn], axis=-1), [0.025, 0.975])
        return float(np.median(quantities)), float(low), float(high)


class TakingTurns:
    """Runs candidates in rounds, in each of which every one runs ``calls`` times.

    Their order is random. Of as many rounds as there are candidates, each has every place once.

    Args:
        candidates: what to call, by label.
        clock: times the calls.
        inputs: what the candidates are called with, one after the other; without them, they take nothing.
        calls: how often a candidate is called in one timing, for calls that are too short to time alone, or that
            are to follow each other as in a loop.
    """

    def __init__(
        self,
        candidates: Mapping[str, Candidate],
        clock: Clock,
        *,
        inputs: Sequence[Any] | None = None,
        calls: int = 1,
    ) -> None:
        self._clock, self._calls = clock, calls
        self._candidates = dict(candidates)
        self._inputs = {label: _arguments(inputs) for label in candidates}
        self._orders = _orders(tuple(candidates))
        self._seconds: dict[str, list[float]] = {label: [] for label in candidates}

    def warm_up(self, rounds: int = 3) -> float:
        """Run rounds that are not counted, and return how long the last one took; 0 for none."""
        last = 0.0
        for _ in range(rounds):
            last = sum(map(self._run, self._candidates)) * self._calls
        return last

    def round(self) -> None:
        """Run every candidate, and note what it took."""
        with _no_garbage_collection():
            for label in next(self._orders):
                self._seconds[label].append(self._run(label))

    def turns(self) -> Turns:
        """Return what was noted."""
        gc.unfreeze()
        return Turns({label: np.array(times) for label, times in self._seconds.items()})

    def _run(self, label: str) -> float:
        call, given = self._candidates[label], list(islice(self._inputs[label], self._calls))

        def work() -> None:
            for arguments in given:
                call(*arguments)

        return self._clock.seconds(work) / self._calls


def rounds_within(seconds: float, one: float) -> int:
    """Return how many rounds of ``one`` second to run in ``seconds``: 7 at least, 200 at most."""
    return int(min(max(seconds / max(one, 1e-9), FEWEST_ROUNDS), MOST_ROUNDS))


def _orders(labels: Sequence[str]) -> Iterator[list[str]]:
    """Give random orders of the labels, the same in every run."""
    draw = np.random.default_rng(0)
    while True:
        first: list[str] = draw.permutation(labels).tolist()
        yield from (first[place:] + first[:place] for place in draw.permutation(len(labels)).tolist())


def _arguments(inputs: Sequence[Any] | None) -> Iterator[tuple[Any, ...]]:
    return repeat(()) if inputs is None else cycle([(one,) for one in inputs])


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect before, so that no candidate pays for another's garbage."""
    gc.collect()
    # What is left need not be looked at again.
    gc.freeze()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
