"""A training loader whose batches several processes share."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset

from kdkit.batch import Batch, batch_size
from kdkit.errors import ConfigurationError
from kdkit.processes import Processes
from kdkit.shared_batches import with_batch_sampler


def share_loader(loader: Iterable[Batch], processes: Processes) -> Iterable[Batch]:
    """Return what gives a process its share of each batch.

    A ``DataLoader`` of a data set that is read by index reads only the share. Of any other iterable, every process
    goes through the whole and takes its share of each batch, unless it is one that gives every process batches of
    its own already and says so by an attribute ``shared`` that is true.

    Args:
        loader: gives the same batches in every process.
        processes: those that train together.

    Raises:
        ConfigurationError: if a batch is known to hold fewer samples than there are processes, or the loader is
            shared by a sampler of its own.
    """
    if not processes.several or getattr(loader, "shared", False):
        return loader
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
        if loader.batch_sampler is None:
            raise ConfigurationError(
                f"the training loader makes no batches (batch_size=None), so {processes.count} processes cannot "
                f"share them: give it a batch_size"
            )
        samplers = (loader.sampler, getattr(loader.batch_sampler, "sampler", None))
        if any(isinstance(one, DistributedSampler) for one in samplers):
            raise ConfigurationError(
                "the training loader has a DistributedSampler, by which each process reads batches of its own, "
                "and the Trainer shares each batch itself: leave the sampler out, and let batch_size be that of "
                "all processes together"
            )
        for size in _sizes(loader):
            processes.share(size)
        return with_batch_sampler(loader, _SharesOfIndices(loader.batch_sampler, processes))
    return _SharesOfBatches(loader, processes)


def is_even(loader: Iterable[Batch], processes: Processes) -> bool:
    """Return whether it is known that every process gets equally many samples of each batch.

    A loader of batches of its own says so by an attribute ``even`` that is true.
    """
    if not processes.several or getattr(loader, "even", False):
        return True
    sizes = _sizes(loader)
    return bool(sizes) and all(size % processes.count == 0 for size in sizes)


def _sizes(loader: Iterable[Batch]) -> list[int]:
    """Return how many samples the batches of a loader hold, where it says so."""
    if not isinstance(loader, DataLoader) or not loader.batch_size or isinstance(loader.dataset, IterableDataset):
        return []
    rest = len(loader.sampler) % loader.batch_size  # type: ignore[arg-type]
    return [loader.batch_size] + ([rest] if rest and not loader.drop_last else [])


class _SharesOfIndices:
    """The indices of this process's samples, batch by batch."""

    def __init__(self, batches: Iterable[list[Any]], processes: Processes) -> None:
        self._batches, self._processes = batches, processes

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self._batches:
            yield batch[self._processes.share(len(batch))]

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]


class _SharesOfBatches:
    """This process's samples of batches that are read whole."""

    def __init__(self, batches: Iterable[Batch], processes: Processes) -> None:
        self._batches, self._processes = batches, processes

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches:
            count = batch_size(batch)
            share = self._processes.share(count)
            yield {name: _part(value, share, count) for name, value in batch.items()}

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]


def _part(value: Any, share: slice, count: int) -> Any:
    """Return the share of a field, where it has an entry for each sample."""
    if isinstance(value, Tensor):
        return value[share] if value.ndim and len(value) == count else value
    return value[share] if isinstance(value, (list, tuple)) and len(value) == count else value
