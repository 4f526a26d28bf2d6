"""What gives the training batches."""

from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader

from kdkit.streaming import StreamLoader
from kdkit_pose.data import PoseDataset, StreamedKeypoints, loader
from kdkit_pose.data.loading import single_threaded


def training_batches(
    train: PoseDataset, samples: Any, batch_size: int, *, seed: int, workers: int = 0, views: int | None = None
) -> DataLoader[Any] | StreamLoader:
    """Return the loader of the training persons, in another order each epoch: of persons in shards, a stream.

    Args:
        train: the persons.
        samples: the same, or with what caches know of them.
        batch_size: persons in a batch; a last one that is not full is left out.
        seed: what the order derives from.
        workers: processes that read ahead.
        views: the number of different views; without it, each epoch has its own.

    Raises:
        ConfigurationError: if the numbers do not fit together.
    """
    given: dict[str, Any] = {"seed": seed, "shuffle": True, "workers": workers, "views": views}
    if not isinstance(train, StreamedKeypoints):
        return loader(samples, batch_size, drop_last=True, **given)
    order: dict[str, Any] = {"lanes": train.lanes, "buffer": train.buffer, "worker_init": single_threaded}
    return StreamLoader(train.shards, samples, batch_size, **order, **given)


def order_settings(train: PoseDataset, batch_size: int) -> Mapping[str, Any]:
    """Return what the order of persons in shards depends on; nothing for others, as in the runs of before."""
    batches = training_batches(train, train, batch_size, seed=0)
    return batches.settings() if isinstance(batches, StreamLoader) else {}
