"""A loader's epochs, which can also be entered in the middle."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader

from kdkit.batch import Batch
from kdkit.processes import Processes
from kdkit.training.random_state import align_random_state, capture_random_state, restore_random_state
from kdkit.training.shared_loader import is_even, share_loader


class Epochs:
    """Runs through a loader epoch by epoch, the same way whether or not a run was interrupted.

    Loader, sampler, batch sampler and data set are told the epoch where they have ``set_epoch``. The generators'
    state at an epoch's start is kept, so that a resumed run draws the same order again.

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
        self.start_state = capture_random_state()
        return iter(self._shared)

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
        skip_batches = getattr(self._loader, "skip", None)
        skip = getattr(getattr(self._loader, "sampler", None), "skip", None)
        if skip_batches is not None:
            skip_batches(done)
            iterator: Iterator[Batch] = iter(self._shared)
        elif skip is not None and isinstance(self._loader, DataLoader) and self._loader.batch_size:
            # An epoch's last batch may not be full.
            skip(min(done * self._loader.batch_size, len(self._loader.sampler)))  # type: ignore[arg-type]
            iterator = iter(self._shared)
        else:
            iterator = iter(self._shared)
            for _ in islice(iterator, done):
                pass
        restore_random_state(now)
        return iterator

    def _set_epoch(self, epoch: int) -> None:
        parts = (getattr(self._loader, name, None) for name in ("sampler", "batch_sampler", "dataset"))
        for part in (self._loader, *parts):
            set_epoch = getattr(part, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(epoch)


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
