import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit import BatchError, ConfigurationError
from kdkit.transforms import Channels


def maps(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_another_order_is_undone_by_its_inverse(order):
    inverse = [order.index(channel) for channel in range(5)]
    target = maps(2, 5, 3, 2)
    changed = Channels(order)(target)
    assert torch.equal(changed, target[:, order])
    assert torch.equal(Channels(inverse)(changed), target)


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 3), (2, 5, 3, 2)])
def test_picks_and_fills(shape):
    target = maps(*shape)
    picked = Channels((4, None, 0, 4), missing=-1.0)(target)
    assert picked.shape == (2, 4, *shape[2:])
    for place, channel in ((0, 4), (2, 0), (3, 4)):
        assert torch.equal(picked[:, place], target[:, channel])
    assert (picked[:, 1] == -1).all()
    assert (Channels((0, None))(target)[:, 1] == 0).all()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_keeps_the_type_and_changes_nothing_in_place(kind):
    target = (maps(2, 3) > 0.5).to(kind)
    before = target.clone()
    changed = Channels((2, None, 1))(target)
    changed.zero_()
    assert changed.dtype == kind
    assert torch.equal(target, before)


def test_gradient_reaches_what_was_picked_alone():
    target = maps(2, 3).requires_grad_()
    Channels((2, None, 2))(target).sum().backward()
    assert target.grad.tolist() == [[0.0, 0.0, 2.0]] * 2


def test_one_transform_is_written_in_one_way():
    assert Channels([1, -1]) == Channels((1, None))
    assert hash(Channels([1, -1])) == hash(Channels((1, None)))
    assert repr(Channels([1, -1])) == "Channels(order=(1, None), missing=0.0)"


@pytest.mark.parametrize("order", [(), (None,), (0, -2), (0.0, 1), ("nose",), (True, False)])
def test_bad_orders_are_refused(order):
    with pytest.raises(ConfigurationError, match="Channels"):
        Channels(order)


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_the_filling_is_finite(missing):
    with pytest.raises(ConfigurationError, match="filling"):
        Channels((0, None), missing)


@pytest.mark.parametrize("shape", [(2,), (2, 3, 4, 4)])
def test_too_few_channels_are_refused(shape):
    with pytest.raises(BatchError, match="at least 4 channels"):
        Channels((0, 3))(torch.zeros(shape))
