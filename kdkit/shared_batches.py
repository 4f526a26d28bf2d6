"""A loader's batches, shared among the processes that train or evaluate together."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader

T = TypeVar("T")


class OwnBatches(Generic[T]):
    """Some of the batches that something else gives, one after the other.

    Args:
        batches: all of them.
        own: which, as numbers that follow each other.
    """

    def __init__(self, batches: Iterable[T], own: range) -> None:
        self._batches, self._own = batches, own

    def __iter__(self) -> Iterator[T]:
        return islice(self._batches, self._own.start, self._own.stop)

    def __len__(self) -> int:
        return len(self._own)


def with_batch_sampler(loader: DataLoader[T], batch_sampler: Iterable[list[Any]]) -> DataLoader[T]:
    """Return a loader that is like another, but for which samples are in its batches.

    Args:
        loader: of a data set that is read by index.
        batch_sampler: gives the indices of batch after batch.
    """
    return DataLoader(
        loader.dataset,
        batch_sampler=batch_sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
