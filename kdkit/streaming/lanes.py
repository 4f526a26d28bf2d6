"""Which samples of an epoch come in which batch: a pure function of seed and epoch.

An epoch's samples are those of its shards, one shard behind the other in the epoch's order. This row is cut into
lanes of equal length, and every batch takes as many samples from each lane. A lane is read from its beginning to
its end, by one worker of one process; whoever it is, the batches are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from kdkit.errors import ConfigurationError
from kdkit.sampling import order_generator

T = TypeVar("T")
Read = Callable[[int, int, int], Iterator[T]]
"""Reads the samples of a shard, from a first one to before another."""


@dataclass(frozen=True)
class Lanes:
    """How batches are made of shards.

    Args:
        counts: the samples of each shard.
        batch_size: samples of a batch, of all processes together.
        lanes: how many lanes there are.
        seed: what the orders derive from.
        shuffle: whether each epoch has an order of its own.
        buffer: of how many samples, over all lanes, the order is drawn anew while they are read.

    Raises:
        ConfigurationError: if a batch cannot take as many samples of each lane, or there are too few samples.
    """

    counts: tuple[int, ...]
    batch_size: int
    lanes: int
    seed: int = 0
    shuffle: bool = True
    buffer: int = 1024

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.lanes < 1 or self.batch_size % self.lanes or self.buffer < 0:
            raise ConfigurationError(
                f"a streamed batch takes as many samples of each lane: batch_size must be a multiple of lanes, "
                f"both above 0, and buffer 0 or more, found {self.batch_size}, {self.lanes} and {self.buffer}"
            )
        if self.batch_size > sum(self.counts):
            raise ConfigurationError(
                f"a batch of {self.batch_size} samples cannot be made of the {sum(self.counts)} in the shards"
            )

    @property
    def batches(self) -> int:
        """The batches of an epoch; what is left at the end of its row, less than one batch, is left out."""
        return sum(self.counts) // self.batch_size

    @property
    def share(self) -> int:
        """The samples of a batch that are of one lane."""
        return self.batch_size // self.lanes

    def shard_order(self, epoch: int) -> list[int]:
        """Return the shards in the order of an epoch."""
        count = len(self.counts)
        if not self.shuffle:
            return list(range(count))
        order: list[int] = order_generator(self.seed, epoch).permutation(count).tolist()
        return order

    def segments(self, epoch: int, lane: int, skip: int = 0) -> list[tuple[int, int, int]]:
        """Return what a lane reads: a shard, its first sample, and the one behind its last, each.

        Args:
            epoch: the epoch, from 0.
            lane: the lane.
            skip: samples of the lane to leave out at its beginning; shards in which there are only such are not
                there.
        """
        length = self.batches * self.share
        return list(_segments(self.shard_order(epoch), self.counts, lane * length + skip, (lane + 1) * length))

    def samples(self, read: Read[T], epoch: int, lane: int, skip: int = 0) -> Iterator[T]:
        """Yield the samples of a lane in their order, from ``skip`` on.

        The order within a lane is drawn anew for each block of ``buffer / lanes`` samples, which are held.
        """
        length, block = self.batches * self.share, self.buffer // self.lanes
        if not self.shuffle or block < 2:
            yield from _chained(read, self.segments(epoch, lane, skip))
            return
        first = skip // block * block
        row = _chained(read, self.segments(epoch, lane, first))
        for begin in range(first, length, block):
            held = list(islice(row, min(block, length - begin)))
            order = order_generator(self.seed, epoch, 1 + lane * 2**32 + begin // block).permutation(len(held))
            yield from (held[place] for place in order[max(0, skip - begin) :])


def _segments(
    order: Sequence[int], counts: Sequence[int], first: int, last: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the parts of shards, laid in a row, that lie between two places of the row."""
    ends = np.cumsum([counts[shard] for shard in order]).tolist()
    for shard, end in zip(order, ends, strict=True):
        begin = end - counts[shard]
        if begin < last and end > first:
            yield shard, max(first - begin, 0), min(last, end) - begin


def _chained(read: Read[T], segments: Sequence[tuple[int, int, int]]) -> Iterator[T]:
    return chain.from_iterable(read(*segment) for segment in segments)
