"""Properties of counter-based randomness and of the sampler built on it."""

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from kdkit.errors import ConfigurationError
from kdkit.sampling import ViewSampler, borrow_generator, sample_generator


class Echo(Dataset[tuple[int, int]]):
    """Returns what it was asked for."""

    def __getitem__(self, index: tuple[int, int]) -> tuple[int, int]:
        return index

    def __len__(self) -> int:
        return 10


def test_generator_is_a_function_of_seed_sample_and_view() -> None:
    first = sample_generator(1, 2, 3).random(8)
    sample_generator(1, 2, 4).random(8)
    np.testing.assert_array_equal(sample_generator(1, 2, 3).random(8), first)


@pytest.mark.parametrize("other", [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 3, 2), (2, 1, 3), (-1, 2, 3)])
def test_generators_of_other_arguments_differ(other: tuple[int, int, int]) -> None:
    assert not np.isin(sample_generator(*other).random(100), sample_generator(1, 2, 3).random(100)).any()


def test_generators_are_independent_and_uniform() -> None:
    draws = np.array([sample_generator(0, sample, view).random(2) for sample in range(100) for view in range(50)])
    assert abs(draws.mean() - 0.5) < 0.02
    neighbours = np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]
    assert abs(neighbours) < 0.05


@pytest.mark.parametrize("which", [(1, 2, 3), (0, 0, 0), (2**63 + 5, 2**64 - 1, 7), (-1, -2, 10**12)])
def test_a_borrowed_generator_gives_the_same_numbers(which: tuple[int, int, int]) -> None:
    borrow_generator(9, 9, 9).integers(5, size=3, dtype=np.int32)  # leaves half a word behind
    own, borrowed = sample_generator(*which), borrow_generator(*which)
    # Half words first: one left behind would show.
    half_words = [generator.integers(2**16, size=5, dtype=np.int32) for generator in (own, borrowed)]
    np.testing.assert_array_equal(*half_words)
    np.testing.assert_array_equal(borrowed.random(5), own.random(5))
    np.testing.assert_array_equal(borrowed.standard_normal(5), own.standard_normal(5))


def test_every_epoch_has_every_sample_once_in_its_own_order() -> None:
    sampler = ViewSampler(50, seed=3)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append([index for index, _ in sampler])
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    used = ViewSampler(50, seed=3)
    for epoch in (0, 7, 4):
        used.set_epoch(epoch)
        list(used)
    fresh = ViewSampler(50, seed=3)
    fresh.set_epoch(4)
    assert list(used) == list(fresh)
    other = ViewSampler(50, seed=4)
    other.set_epoch(4)
    assert list(other) != list(fresh)


@pytest.mark.parametrize(("views", "expected"), [(None, [0, 1, 2, 3, 4]), (2, [0, 1, 0, 1, 0]), (1, [0] * 5)])
def test_view_is_the_epoch_modulo_the_number_of_views(views: int | None, expected: list[int]) -> None:
    sampler = ViewSampler(3, seed=0, views=views)
    for epoch, view in enumerate(expected):
        sampler.set_epoch(epoch)
        assert [found for _, found in sampler] == [view] * 3


@pytest.mark.parametrize("skipped", [0, 1, 20, 50])
@pytest.mark.parametrize("shuffle", [True, False])
def test_skipping_gives_the_tail_once(skipped: int, shuffle: bool) -> None:
    sampler = ViewSampler(50, seed=3, shuffle=shuffle)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.skip(skipped)
    assert len(sampler) == 50
    assert list(sampler) == whole[skipped:]
    assert list(sampler) == whole


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_with_persistent_workers_follows_epoch_and_skip(workers: int) -> None:
    sampler = ViewSampler(10, seed=5)
    loader = DataLoader(Echo(), batch_size=2, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
    for epoch, skipped in ((0, 0), (1, 4), (2, 0)):
        sampler.set_epoch(epoch)
        expected = list(sampler)[skipped:]
        sampler.skip(skipped)
        assert len(loader) == 5
        batches = list(loader)
        assert [(int(i), int(v)) for batch in batches for i, v in zip(*batch, strict=True)] == expected


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(ConfigurationError, match="-1"):
        ViewSampler(-1, seed=0)
    with pytest.raises(ConfigurationError, match="at least 1 view"):
        ViewSampler(1, seed=0, views=0)
    with pytest.raises(ConfigurationError, match="11 samples of an epoch of 10"):
        ViewSampler(10, seed=0).skip(11)
    with pytest.raises(ConfigurationError, match="epoch"):
        ViewSampler(10, seed=0).set_epoch(-1)
