"""Loaders whose batches depend on seed and epoch, and on nothing else."""

from collections.abc import Sized
from typing import Any, Protocol, cast

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from kdkit.errors import ConfigurationError
from kdkit.sampling import ViewSampler
from kdkit_pose.data.collating import collate


class _SizedDataset(Sized, Protocol):
    def __getitem__(self, index: Any, /) -> Any: ...


def loader(
    dataset: _SizedDataset,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    workers: int = 0,
    drop_last: bool = False,
    views: int | None = None,
) -> DataLoader[Any]:
    """A loader that asks ``dataset`` for (index, view) pairs, in the order of a `ViewSampler`.

    The sampler is the loader's ``sampler``: ``loader.sampler.set_epoch(epoch)`` before each epoch,
    ``loader.sampler.skip(samples)`` to resume inside one.

    Args:
        dataset: Read by (index, view), such as `CocoKeypoints`.
        batch_size: Samples in a batch.
        seed: What the order derives from.
        shuffle: Whether each epoch has an order of its own.
        workers: Processes that read ahead; they stay between epochs. 0 reads in this process.
        drop_last: Whether to leave out a last batch that is not full.
        views: Number of different views; without it, each epoch has its own.

    Raises:
        ConfigurationError: A batch size below 1 or fewer than 0 workers.
    """
    if batch_size < 1 or workers < 0:
        raise ConfigurationError(
            f"a loader needs a batch size above 0 and 0 or more workers, found {batch_size} and {workers}"
        )
    return DataLoader(
        cast("Dataset[Any]", dataset),
        batch_size=batch_size,
        sampler=ViewSampler(len(dataset), seed=seed, shuffle=shuffle, views=views),
        num_workers=workers,
        drop_last=drop_last,
        persistent_workers=workers > 0,
        collate_fn=collate,
        # Copies to the device then need not be waited for.
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=single_threaded,
        # Without one of its own a loader draws from the global generator each epoch, and so changes what the
        # training draws after it.
        generator=torch.Generator().manual_seed(seed),
    )


def single_threaded(worker: int) -> None:
    """Let a loader's worker use one thread of OpenCV's."""
    # Many workers share the cores; threads within each would only get in each other's way.
    del worker
    cv2.setNumThreads(0)
