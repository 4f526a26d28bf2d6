"""A loader of batches that are read from shards, one after the other."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from kdkit.batch import Batch
from kdkit.errors import ConfigurationError, DataError
from kdkit.processes import Processes
from kdkit.sample_batch import collate
from kdkit.streaming.lanes import Lanes
from kdkit.streaming.shard_sample import ShardSample
from kdkit.streaming.shards import Shards

_LANES = 8


class StreamLoader:
    """Batches from shards, for `kdkit.Trainer` or a loop of one's own.

    Which samples a batch holds, in which order, depends on shards, ``seed``, epoch, ``batch_size``, ``lanes`` and
    ``buffer`` alone: not on workers, nor on how many processes share the work, nor on where a run was resumed.

    Args:
        shards: the shards.
        dataset: makes a sample of (`ShardSample`, view), or with ``__getitems__`` a list of samples of a list of
            them: like a data set that is read by (index, view), and wrapped like one by
            ``kdkit.cache.CachedDataset``. What it gives must depend on the two alone, as by
            ``sample_generator(seed, sample.id, view)``.
        batch_size: samples of a batch, of all processes together. An epoch's last samples, less than a batch, are
            left out; with ``shuffle`` they are others each epoch.
        seed: what the orders derive from.
        shuffle: whether each epoch has an order of its own: of the shards, and of samples within the buffer.
        buffer: how many samples, encoded and over all processes together, are held to be shuffled; 0 for none.
        lanes: how many places of the epoch a batch is read from at once: a multiple of the processes that there
            will ever be, of which ``batch_size`` is a multiple. By default up to 8.
        workers: processes that read ahead, in each process; there are never more than it has lanes. 0 reads in
            this one.
        views: the number of different views of a sample: the view is the epoch modulo this. Without it, the epoch.
        processes: those that share the batches; by default those of torch's process group, when it is iterated.
        worker_init: called in each worker with its number, before it reads.

    Attributes:
        shared: true: each process gets its samples only.
        even: true: as many as every other.
        epoch: of the iterations that begin from now on.

    Raises:
        ConfigurationError: if the numbers do not fit together.
    """

    shared = True
    even = True

    def __init__(
        self,
        shards: Shards,
        dataset: Any,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        buffer: int = 1024,
        lanes: int | None = None,
        workers: int = 0,
        views: int | None = None,
        processes: Processes | None = None,
        worker_init: Callable[[int], None] | None = None,
    ) -> None:
        if workers < 0 or (views is not None and views < 1):
            raise ConfigurationError(
                f"a stream needs 0 or more workers, and 1 or more views, found {workers} and {views}"
            )
        lanes = math.gcd(batch_size, _LANES) if lanes is None else lanes
        counts = tuple(shard.samples for shard in shards.index.shards)
        self.lanes = Lanes(counts, batch_size, lanes, seed, shuffle, buffer)
        self.shards, self.dataset = shards, dataset
        self.batch_size, self.num_workers, self.views = batch_size, workers, views
        self.epoch = 0
        self._processes, self._worker_init, self._skip = processes, worker_init, 0
        self._own_lanes()

    def __len__(self) -> int:
        """The batches of a full epoch, whatever is skipped; the same in every process."""
        return self.lanes.batches

    @property
    def view(self) -> int:
        """The view of every sample in this epoch."""
        return self.epoch if self.views is None else self.epoch % self.views

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, of the iterations that begin from now on."""
        if epoch < 0:
            raise ConfigurationError(f"an epoch is 0 or more, found {epoch}")
        self.epoch = epoch

    def skip(self, batches: int) -> None:
        """Let the next iteration, and only that, begin so many batches in; what lies in shards before is not read.

        Raises:
            ConfigurationError: more batches than there are, or fewer than 0.
        """
        if not 0 <= batches <= len(self):
            raise ConfigurationError(f"cannot skip {batches} batches of an epoch of {len(self)}")
        self._skip = batches

    def settings(self) -> dict[str, Any]:
        """Return what the batches depend on beside the data set, in JSON's types: for a run's ``config``."""
        order = self.lanes
        return {
            "shards": self.shards.index.fingerprint,
            "lanes": order.lanes,
            "buffer": order.buffer,
        }

    def __iter__(self) -> Iterator[Batch]:
        # Not a generator function: epoch and skip must be read now, not when the first batch is asked for.
        start, self._skip = self._skip, 0
        own = self._own_lanes()
        workers = min(self.num_workers, len(own))
        parts = [own[i * len(own) // workers : (i + 1) * len(own) // workers] for i in range(workers)] or [own]
        stream = _Stream(self.shards, self.dataset, self.lanes, parts, self.epoch, self.view, start)
        if not workers:
            return iter(stream)
        pin = torch.cuda.is_available()
        loader: DataLoader[Batch] = DataLoader(
            stream,
            batch_size=None,
            num_workers=workers,
            # What comes from several workers is pinned when it is joined.
            pin_memory=pin and workers == 1,
            worker_init_fn=self._worker_init,
            # Without one of its own it draws from the global generator, and so changes what the training draws.
            generator=torch.Generator().manual_seed(self.lanes.seed),
        )
        return iter(loader) if workers == 1 else _joined(iter(loader), workers, pin)

    def __repr__(self) -> str:
        return f"StreamLoader({self.shards!r}, batch_size={self.batch_size}) at epoch {self.epoch}"

    def _own_lanes(self) -> range:
        """The lanes of this process."""
        processes, lanes = self._processes or Processes.current(), self.lanes.lanes
        if lanes % processes.count:
            raise ConfigurationError(
                f"{lanes} lanes cannot be shared evenly by {processes.count} processes: give lanes, and a "
                f"batch_size, that are multiples of {processes.count}"
            )
        each = lanes // processes.count
        return range(processes.rank * each, (processes.rank + 1) * each)


class _Stream(IterableDataset[Batch]):
    """The parts of batches that come from the lanes of one worker, or whole ones where there is none."""

    def __init__(
        self,
        shards: Shards,
        dataset: Any,
        lanes: Lanes,
        parts: Sequence[range],
        epoch: int,
        view: int,
        start: int,
    ) -> None:
        self._shards, self._dataset, self._lanes, self._parts = shards, dataset, lanes, parts
        self._epoch, self._view, self._start = epoch, view, start

    def __iter__(self) -> Iterator[Batch]:
        worker, share = get_worker_info(), self._lanes.share
        own = self._parts[0 if worker is None else worker.id]
        rows = [self._lanes.samples(self._shards.read, self._epoch, lane, self._start * share) for lane in own]
        for _ in range(self._start, self._lanes.batches):
            yield self._decoded([sample for row in rows for sample in islice(row, share)])

    def _decoded(self, samples: list[ShardSample]) -> Batch:
        indices = [(sample, self._view) for sample in samples]
        read = getattr(self._dataset, "__getitems__", None)
        made = [self._dataset[index] for index in indices] if read is None else read(indices)
        if len(made) != len(samples):
            raise DataError(f"{self._dataset!r} made {len(made)} samples of {len(samples)}: none may be left out")
        batch: Batch = collate(made)
        return batch


def _joined(parts: Iterator[Batch], count: int, pin: bool) -> Iterator[Batch]:
    """Yield batches whose parts, in the order of the workers, follow each other."""
    while group := list(islice(parts, count)):
        yield {name: _join([part[name] for part in group], pin) for name in group[0]}


def _join(values: Sequence[Any], pin: bool) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        shape = (sum(len(value) for value in values), *first.shape[1:])
        joined = torch.empty(shape, dtype=first.dtype, pin_memory=pin)
        return torch.cat(list(values), out=joined)
    if isinstance(first, Mapping):
        return {name: _join([value[name] for value in values], pin) for name in first}
    if isinstance(first, list | tuple):
        return [one for value in values for one in value]
    raise ConfigurationError(f"a batch's field is a {type(first).__name__}, which cannot be joined from workers")
