import pytest
import torch

from kdkit import StepLosses
from kdkit.training.loss_means import LossMeans


def batch(total: float, **parts: float) -> StepLosses:
    tensors = {name: torch.tensor(value) for name, value in parts.items()}
    return StepLosses(torch.tensor(total, requires_grad=True), tensors, {}, {})


def filled(looks: int) -> LossMeans:
    """A thousand batches, summed up every so many."""
    generator = torch.Generator().manual_seed(0)
    means = LossMeans()
    for position, value in enumerate((torch.rand(1000, generator=generator) ** 9).tolist()):
        means.add(batch(value, a=value / 3) if position % 3 else batch(value, a=value / 3, b=1.0))
        if position % looks == 0:
            means.sum_up()
    return means


def test_means_are_over_the_batches_in_which_a_loss_had_a_weight():
    means = LossMeans()
    means.add(batch(1.0, a=1.0))
    means.add(batch(5.0, a=3.0, b=2.0))
    assert means.means() == {"loss/total": 3.0, "loss/a": 2.0, "loss/b": 2.0}


@pytest.mark.parametrize("looks", [1, 7, 1000])
def test_they_are_the_same_to_the_bit_however_often_they_are_summed_up(looks):
    assert filled(looks).means() == filled(50).means()


def test_a_small_loss_is_not_lost_among_large_ones():
    means = LossMeans()
    means.add(batch(1e8))
    for _ in range(1000):
        means.add(batch(1.0))
    assert means.means()["loss/total"] * 1001 == pytest.approx(1e8 + 1000, rel=1e-12)


def test_its_state_is_taken_and_given_back_in_the_midst():
    straight = filled(50)
    other = LossMeans()
    other.load_state_dict(straight.state_dict())
    for means in (straight, other):
        means.add(batch(0.1, a=0.3))
    assert other.means() == straight.means()


def test_a_state_of_tensors_is_read_too():
    means = LossMeans()
    means.load_state_dict({"total": (torch.tensor(3.0, dtype=torch.float64), 2)})
    assert means.means() == {"loss/total": 1.5}


def test_nothing_keeps_the_graph():
    means = LossMeans()
    means.add(batch(1.0))
    assert not any(value.requires_grad for value in means._kept)
