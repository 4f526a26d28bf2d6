"""Randomness that is a function of what is drawn, not of when: sample generators and the sampler of views.

A *view* is the number of one random variant of a sample. Whoever reads a sample with the same seed, id and
view gets the same random numbers: in any worker or process, in any order, after any resumption.

>>> sampler = ViewSampler(3, seed=0, shuffle=False)
>>> sampler.set_epoch(5)
>>> list(sampler)
[(0, 5), (1, 5), (2, 5)]
"""

import threading
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from kdkit.errors import ConfigurationError

_SAMPLES, _ORDER = 0, 1
_BORROWED = threading.local()
_EMPTY = np.zeros(4, dtype=np.uint64)


def sample_generator(seed: int, sample_id: int, view: int) -> np.random.Generator:
    """The random numbers of one view of one sample: a pure function of the three integers.

    A Philox counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
    its key made of the seed, its counter of sample and view, so that no two streams overlap. Integers are
    taken modulo 2**64.

    >>> bool(sample_generator(0, 7, 1).random() == sample_generator(0, 7, 1).random())
    True
    """
    return _generator(_SAMPLES, seed, sample_id, view)


def borrow_generator(seed: int, sample_id: int, view: int) -> np.random.Generator:
    """The same random numbers as :func:`sample_generator` gives, from a generator that the thread's next call sets
    anew: for who reads many samples, since setting takes a tenth of the time of making."""
    generator: np.random.Generator | None = getattr(_BORROWED, "generator", None)
    if generator is None:
        generator = _BORROWED.generator = _generator(_SAMPLES, 0, 0, 0)
    generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"counter": (0, 0, sample_id % 2**64, view % 2**64), "key": (seed % 2**64, _SAMPLES)},
        "buffer": _EMPTY,
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator


def order_generator(seed: int, epoch: int, part: int = 0) -> np.random.Generator:
    """The random numbers of an epoch's order, or of a part of it: a pure function of the three integers, and none
    that a sample has."""
    return _generator(_ORDER, seed, part, epoch)


class ViewSampler(Sampler[tuple[int, int]]):
    """Yields (index, view) for every sample of a data set, in an order that depends on seed and epoch alone.

    The view travels with the index, so that workers, persistent ones too, need no shared state. Epoch and
    skip are read when an iteration begins: change them only between iterations, since a loader's workers pull
    ahead.

    Args:
        size: The number of samples.
        seed: What the orders derive from.
        shuffle: Whether each epoch has an order of its own; otherwise samples come by index.
        views: The number of different views of a sample: the view is the epoch modulo this. Without it, the
            epoch.

    Raises:
        ConfigurationError: A size below 0 or a number of views below 1.
    """

    def __init__(self, size: int, *, seed: int, shuffle: bool = True, views: int | None = None) -> None:
        if size < 0:
            raise ConfigurationError(f"a sampler's size must be 0 or more, found {size}")
        if views is not None and views < 1:
            raise ConfigurationError(
                f"a sampler needs at least 1 view, found {views}; leave it out for one an epoch"
            )
        self.size, self.seed, self.shuffle, self.views = size, seed, shuffle, views
        self.epoch = 0
        self._skip = 0

    @property
    def view(self) -> int:
        """The view of every sample in this epoch."""
        return self.epoch if self.views is None else self.epoch % self.views

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, of the iterations that begin from now on."""
        if epoch < 0:
            raise ConfigurationError(f"an epoch is 0 or more, found {epoch}")
        self.epoch = epoch

    def skip(self, samples: int) -> None:
        """Let the next iteration, and only that, begin ``samples`` samples in: to resume inside an epoch.

        Raises:
            ConfigurationError: More samples than there are, or fewer than 0.
        """
        if not 0 <= samples <= self.size:
            raise ConfigurationError(f"cannot skip {samples} samples of an epoch of {self.size}")
        self._skip = samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # Not a generator function: epoch and skip must be read now, not when the first sample is asked for.
        start, self._skip = self._skip, 0
        order = np.arange(self.size)
        if self.shuffle:
            order = order_generator(self.seed, self.epoch).permutation(self.size)
        view = self.view
        return ((int(index), view) for index in order[start:])

    def __len__(self) -> int:
        """The length of a full epoch, whatever is skipped."""
        return self.size

    def __repr__(self) -> str:
        return (
            f"ViewSampler({self.size}, seed={self.seed}, shuffle={self.shuffle}, views={self.views}) "
            f"at epoch {self.epoch}"
        )


def _generator(purpose: int, seed: int, sample_id: int, view: int) -> np.random.Generator:
    # A generator counts up in the counter's low words: with ids in the high ones, each has 2**128 blocks of
    # its own.
    key = np.array([seed % 2**64, purpose], dtype=np.uint64)
    counter = np.array([0, 0, sample_id % 2**64, view % 2**64], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
