"""A loader's epochs give the same order whether or not a run was interrupted."""

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from kdkit.training.epochs import Epochs
from kdkit.training.random_state import capture_random_state, restore_random_state


def of_the_global_generator() -> DataLoader:
    return DataLoader(range(12), 4, shuffle=True)


def of_its_own() -> DataLoader:
    return DataLoader(range(12), 4, shuffle=True, generator=torch.Generator().manual_seed(3))


def of_the_samplers_own() -> DataLoader:
    sampler = RandomSampler(range(12), replacement=True, generator=torch.Generator().manual_seed(3))
    return DataLoader(range(12), batch_sampler=BatchSampler(sampler, 4, drop_last=False))


def with_workers_that_stay() -> DataLoader:
    return DataLoader(range(12), 4, shuffle=True, num_workers=1, persistent_workers=True)


def orders(epochs: Epochs, numbers: range) -> list[list[list[int]]]:
    return [[batch.tolist() for batch in epochs.start(number)] for number in numbers]


@pytest.mark.parametrize(
    "make", [of_the_global_generator, of_its_own, of_the_samplers_own, with_workers_that_stay]
)
def test_a_run_that_goes_on_draws_the_same_order(make):
    torch.manual_seed(5)
    whole = orders(Epochs(make()), range(4))
    assert whole[0] != whole[1]

    torch.manual_seed(5)
    before = Epochs(make())
    assert orders(before, range(2)) == whole[:2]
    assert [next(iterator).tolist() for iterator in [before.start(2)] for _ in range(2)] == whole[2][:2]
    begun, now = before.start_state, capture_random_state()

    torch.manual_seed(77)
    after = Epochs(make())
    restore_random_state(now)
    assert [batch.tolist() for batch in after.enter(2, 2, begun)] == whole[2][2:]
    assert orders(after, range(3, 4)) == whole[3:]


def test_a_run_that_goes_on_between_two_epochs_draws_the_same_order():
    whole = orders(Epochs(of_its_own()), range(3))
    before, after = Epochs(of_its_own()), Epochs(of_its_own())
    orders(before, range(2))
    after.restore_generators(before.generator_states())
    assert orders(after, range(2, 3)) == whole[2:]
