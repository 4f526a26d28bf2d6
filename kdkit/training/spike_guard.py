"""Notices a loss that is suddenly far above what it was, and whose it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError, LossSpikeError

_KEEP = 0.99
_NAMED = 5
_TOLD = 10

Watched = tuple[int, Mapping[str, Tensor], Tensor | None]
"""An optimizer step, each term's unweighted losses [B] by name, and the samples' ids [B]."""


@dataclass(frozen=True)
class Spike:
    """What counts as a spike of a loss, and what becomes of it.

    Args:
        factor: a term's mean over a batch that is more than so many times its running mean is a spike.
        warmup: batches of a stage before the first one can be told; the running mean begins anew with each stage,
            whose targets may be others.
        stop: raise a LossSpikeError, rather than say it and go on.

    Raises:
        ConfigurationError: if ``factor`` is not above 1, or ``warmup`` below 1.
    """

    factor: float = 10.0
    warmup: int = 100
    stop: bool = False

    def __post_init__(self) -> None:
        if not 1 < self.factor < math.inf:
            raise ConfigurationError(f"Spike: factor is {self.factor}, it must be a number above 1")
        if self.warmup < 1:
            raise ConfigurationError(f"Spike: warmup is {self.warmup}, it must be at least 1")


class SpikeGuard:
    """Compares each term's loss with its running mean, where losses are looked at anyway.

    The mean is an exponential one (decay 0.99) of the unweighted loss; a spike counts in it as the largest value
    that is none, so that one does not hide the next, and a loss that stays high becomes the usual.

    Args:
        spike: what counts as one; None watches nothing, at no cost.
        say: called with a line a spike, but for those of an epoch that follow the tenth.
    """

    def __init__(self, spike: Spike | None, say: Callable[[Sequence[str]], object] = lambda lines: None) -> None:
        self._spike, self._say = spike, say
        self._means: dict[str, tuple[float, int]] = {}
        self._found: list[dict[str, Any]] = []
        self._count = 0

    def begin_stage(self) -> None:
        """Begin the running means anew."""
        self._means = {}

    def see(self, watched: Sequence[Watched]) -> None:
        """Look at the losses of some batches; all are finite. One host sync.

        Raises:
            LossSpikeError: if one spiked and that is to stop the run.
        """
        if self._spike is None or not watched:
            return
        means = [loss.mean() for _, samples, _ in watched for loss in samples.values()]
        values = iter(torch.stack(means).tolist())
        for step, samples, ids in watched:
            for term, losses in samples.items():
                self._see(self._spike, step, term, next(values), losses, ids)

    def take(self) -> dict[str, Any]:
        """Return what the spikes since the last call add to a line of the log: nothing where there was none."""
        count, found = self._count, self._found
        self._count, self._found = 0, []
        return {"spikes": count, "spiked": found} if count else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the running means and the spikes of the running epoch."""
        return {"means": dict(self._means), "found": list(self._found), "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`; nothing in it begins anew."""
        self._means = dict(state.get("means", {}))
        self._found, self._count = list(state.get("found", ())), state.get("count", 0)

    def _see(self, spike: Spike, step: int, term: str, value: float, losses: Tensor, ids: Tensor | None) -> None:
        mean, count = self._means.get(term, (value, 0))
        limit = spike.factor * mean
        if count >= spike.warmup and value > limit > 0:
            self._tell(spike, step, term, value, mean, losses, ids)
            value = limit
        # At first the plain mean, so that the first batch does not count for a hundred.
        keep = min(_KEEP, count / (count + 1))
        self._means[term] = (keep * mean + (1 - keep) * value, count + 1)

    def _tell(
        self, spike: Spike, step: int, term: str, value: float, mean: float, losses: Tensor, ids: Tensor | None
    ) -> None:
        largest = losses.argsort(descending=True)[:_NAMED].tolist()
        named = [int(place if ids is None else ids[place]) for place in largest]
        whose = "batch positions" if ids is None else "sample ids"
        text = (
            f"the loss {term} spiked at step {step}: {value:.4g}, {value / mean:.1f} times its running mean "
            f"{mean:.4g}; the largest are of the {whose} {named}"
        )
        if spike.stop:
            raise LossSpikeError(
                f"{text}: look at these samples and at the learning rate; the last checkpoint is from before this "
                f"step"
            )
        self._count += 1
        if len(self._found) < _TOLD:
            self._say([text])
            self._found.append({"step": step, "term": term, "loss": value, "mean": mean, "samples": named})


def as_spike(given: float | Spike | None) -> Spike | None:
    """Return what counts as a spike; a number is its factor."""
    return given if given is None or isinstance(given, Spike) else Spike(float(given))
