"""Notices a loss that is suddenly far above what it was, and whose it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError, LossSpikeError
from kdkit.processes import Processes

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
        processes: those that train together.
    """

    def __init__(
        self,
        spike: Spike | None,
        say: Callable[[Sequence[str]], object] = lambda lines: None,
        processes: Processes | None = None,
    ) -> None:
        self._spike, self._say = spike, say
        self._processes = processes or Processes()
        self._means: dict[str, tuple[float, int]] = {}
        self._found: list[dict[str, Any]] = []
        self._count = 0

    def begin_stage(self) -> None:
        """Begin the running means anew."""
        self._means = {}

    def see(self, watched: Sequence[Watched]) -> None:
        """Look at the losses of some batches; all are finite. One host sync.

        Of several processes all look equally often, each at its share of the batches; all learn of every spike.

        Raises:
            LossSpikeError: if one spiked and that is to stop the run.
        """
        if self._spike is None:
            return
        means = [loss.mean() for _, samples, _ in watched for loss in samples.values()]
        values = iter(torch.stack(means).tolist() if means else ())
        own: list[dict[str, Any]] = []
        for step, samples, ids in watched:
            for term, losses in samples.items():
                value = next(values)
                if (usual := self._exceeded(self._spike, term, value)) is not None:
                    own.append(_spiked(step, term, value, usual, losses, ids))
        if self._processes.largest(len(own)):
            for found in (one for part in self._processes.gathered(own) for one in part):
                self._tell(self._spike, found)

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

    def _exceeded(self, spike: Spike, term: str, value: float) -> float | None:
        """Count a term's mean over a batch in; return what the running mean was, if it is a spike."""
        mean, count = self._means.get(term, (value, 0))
        limit = spike.factor * mean
        exceeds = count >= spike.warmup and value > limit > 0
        # At first the plain mean, so that the first batch does not count for a hundred.
        keep = min(_KEEP, count / (count + 1))
        self._means[term] = (keep * mean + (1 - keep) * (limit if exceeds else value), count + 1)
        return mean if exceeds else None

    def _tell(self, spike: Spike, found: dict[str, Any]) -> None:
        """Say a spike and keep it for the log."""
        value, mean, whose = found["loss"], found["mean"], found.pop("whose")
        text = (
            f"the loss {found['term']} spiked at step {found['step']}: {value:.4g}, {value / mean:.1f} times its "
            f"running mean {mean:.4g}; the largest are of the {whose} {found['samples']}"
        )
        if spike.stop:
            raise LossSpikeError(
                f"{text}: look at these samples and at the learning rate; the last checkpoint is from before this "
                f"step"
            )
        self._count += 1
        if len(self._found) < _TOLD:
            self._say([text])
            self._found.append(found)


def _spiked(step: int, term: str, value: float, mean: float, losses: Tensor, ids: Tensor | None) -> dict[str, Any]:
    """Return what is known of a spike, with the samples of the largest losses."""
    largest = losses.argsort(descending=True)[:_NAMED].tolist()
    named = [int(place if ids is None else ids[place]) for place in largest]
    whose = "batch positions" if ids is None else "sample ids"
    return {"step": step, "term": term, "loss": value, "mean": mean, "samples": named, "whose": whose}


def as_spike(given: float | Spike | None) -> Spike | None:
    """Return what counts as a spike; a number is its factor."""
    return given if given is None or isinstance(given, Spike) else Spike(float(given))
