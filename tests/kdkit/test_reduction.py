import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdkit import BatchError
from kdkit.reduction import broadcast_region, reduce_samples


def loss_map(seed: int = 0) -> torch.Tensor:
    return torch.rand(3, 5, 4, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 1, 4, 2), (3, 5, 4, 2), (1, 5)])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
def test_all_ones_equal_none_to_the_bit(shape, reduction):
    values = loss_map()
    assert torch.equal(
        reduce_samples(values, torch.ones(shape), reduction), reduce_samples(values, None, reduction)
    )


@given(st.integers(0, 50))
def test_means_agree_with_the_definition(seed):
    values = loss_map(seed)
    region = torch.rand(3, 5, generator=torch.Generator().manual_seed(seed + 1))
    weights = region[:, :, None, None].expand_as(values)
    plain = reduce_samples(values, region, "mean").mean()
    torch.testing.assert_close(plain, (values * weights).mean())
    weighted = reduce_samples(values, region, "weighted_mean").mean()
    torch.testing.assert_close(weighted, (values * weights).sum() / weights.sum())


def test_an_empty_region_gives_zero_and_a_gradient():
    values = loss_map().requires_grad_()
    result = reduce_samples(values, torch.zeros(3, 5), "weighted_mean").mean()
    result.backward()
    assert result == 0
    assert torch.equal(values.grad, torch.zeros_like(values))


def test_weighted_mean_ignores_the_size_of_what_is_left_out():
    values = torch.ones(2, 4, 3, 3)
    region = torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0]])
    assert reduce_samples(values, region, "weighted_mean").mean() == 1
    assert reduce_samples(values, region, "mean").mean() == 0.25


def test_boolean_regions_work():
    assert reduce_samples(torch.ones(2, 4), torch.tensor([True, False]), "mean").tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(3, 4), (2,), (3, 5, 4, 2, 1), (3, 5, 2), ()])
def test_a_region_that_does_not_fit_is_refused(shape):
    with pytest.raises(BatchError, match="from the left"):
        broadcast_region(torch.ones(shape), loss_map())


def test_a_reduced_loss_is_refused():
    with pytest.raises(BatchError, match="unreduced"):
        reduce_samples(torch.tensor(1.0), None, "mean")


def test_a_sum_in_half_precision_is_none_of_its_own():
    loss_map = torch.full((1, 1, 300, 300), 2.0, dtype=torch.float16)
    for reduction in ("mean", "weighted_mean"):
        assert reduce_samples(loss_map, None, reduction).tolist() == [2.0]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 2**16))
def test_shares_of_several_processes_are_parts_of_the_whole(shares, seed):
    draw = torch.Generator().manual_seed(seed)
    loss_map = torch.rand(sum(shares), 3, 2, generator=draw, dtype=torch.float64)
    region = torch.rand(sum(shares), 3, generator=draw, dtype=torch.float64).round(decimals=1)
    whole = reduce_samples(loss_map, region, "weighted_mean").mean()
    parts = list(zip(loss_map.split(shares), region.split(shares), strict=True))
    exchanged = torch.tensor(
        [[float(len(one)), float(weights.sum() * 2)] for one, weights in parts], dtype=torch.float64
    ).mean(0)
    mean_share = sum(shares) / len(shares)
    # As the trainer weights each process's mean by its samples, and the processes average.
    losses = [
        reduce_samples(one, weights, "weighted_mean", lambda own: exchanged).mean() * len(one) / mean_share
        for one, weights in parts
    ]
    assert torch.allclose(sum(losses) / len(shares), whole)
