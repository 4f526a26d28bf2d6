"""A loader's epochs, which can also be entered in the middle."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from kdkit.batch import Batch
from kdkit.processes import Processes
from kdkit.training.random_state import align_random_state, capture_random_state, restore_random_state
from kdkit.training.shared_loader import is_even, share_loader


class Epochs:
    """Runs through a loader epoch by epoch, the same way whether or not a run was interrupted.

    Loader, sampler, batch sampler and data set are told the epoch where they have ``set_epoch``. The state of the
    generators at an epoch's start is kept, the global ones' and those of loader and sampler, so that a resumed run
    draws the same order again.

    Args:
        loader: gives batches; a ``DataLoader`` or any iterable that can be run through again and again.
        processes: those that share each of its batches.

    Raises:
        ConfigurationError: if the loader's batches cannot be shared.
    """

    def __init__(self, loader: Iterable[Batch], processes: Processes | None = None) -> None:
        self._loader = loader
        self._processes = processes or Processes()
        self._shared = share_loader(loader, self._processes)
        self.start_state: dict[str, Any] = {}

    @property
    def batches(self) -> int | None:
        """Batches an epoch, or None where the loader does not know."""
        try:
            return len(self._loader)  # type: ignore[arg-type]
        except TypeError:
            return None

    @property
    def even(self) -> bool:
        """Whether every process is known to get equally many samples of each batch."""
        return is_even(self._loader, self._processes)

    def start(self, epoch: int) -> Iterator[Batch]:
        """Begin an epoch."""
        self._set_epoch(epoch)
        if self._processes.several:
            # What draws the samples' order must draw the same everywhere.
            align_random_state(self._processes, epoch)
            self.restore_generators(self._processes.from_main(self.generator_states()))
        self.start_state = {**capture_random_state(), "loader": self.generator_states()}
        return self._iterator()

    def enter(self, epoch: int, done: int, start_state: Mapping[str, Any]) -> Iterator[Batch]:
        """Go on in an epoch after ``done`` batches, and leave the generators as they were there.

        Args:
            epoch: the epoch.
            done: batches to leave out; with a loader or a sampler that has ``skip`` they are not even read.
            start_state: :attr:`start_state` of that epoch.
        """
        now = capture_random_state()
        self._set_epoch(epoch)
        self.start_state = dict(start_state)
        restore_random_state(start_state)
        self.restore_generators(start_state.get("loader", []))
        skip_batches = getattr(self._loader, "skip", None)
        skip = getattr(getattr(self._loader, "sampler", None), "skip", None)
        if skip_batches is not None:
            skip_batches(done)
            iterator = self._iterator()
        elif skip is not None and isinstance(self._loader, DataLoader) and self._loader.batch_size:
            # An epoch's last batch may not be full.
            skip(min(done * self._loader.batch_size, len(self._loader.sampler)))  # type: ignore[arg-type]
            iterator = self._iterator()
        else:
            iterator = self._iterator()
            for _ in islice(iterator, done):
                pass
        restore_random_state(now)
        return iterator

    def generator_states(self) -> list[Tensor]:
        """Return the states of the generators that loader and samplers have of their own."""
        return [generator.get_state() for generator in generators_of(self._loader)]

    def restore_generators(self, states: Sequence[Tensor]) -> None:
        """Put the loader's generators where :meth:`generator_states` was called."""
        for generator, state in zip(generators_of(self._loader), states, strict=False):
            generator.set_state(state)

    def _iterator(self) -> Iterator[Batch]:
        if getattr(self._shared, "persistent_workers", False) and getattr(self._shared, "_iterator", None):
            # A loader draws its workers' seed before the samples' order, but not for workers that it has kept.
            torch.empty((), dtype=torch.int64).random_(generator=getattr(self._shared, "generator", None))
        return iter(self._shared)

    def _set_epoch(self, epoch: int) -> None:
        parts = (getattr(self._loader, name, None) for name in ("sampler", "batch_sampler", "dataset"))
        for part in (self._loader, *parts):
            set_epoch = getattr(part, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(epoch)


def generators_of(loader: object) -> list[torch.Generator]:
    """Return the generators that a loader and its samplers draw from, each once, but for the global ones."""
    samplers = (getattr(loader, name, None) for name in ("sampler", "batch_sampler"))
    parts = [part for one in (loader, *samplers) for part in (one, getattr(one, "sampler", None))]
    found = [getattr(part, "generator", None) for part in parts]
    return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())


def in_groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield the batches of one optimizer step after the other; an epoch's last group may be smaller."""
    group: list[Batch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
