"""Relations of samples: what they do not see, and samples that coincide."""

import pytest
import torch
from torch import Tensor

from kdkit import BatchError, losses

BOTH = pytest.mark.parametrize("loss", [losses.relational_distance, losses.relational_angle])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@BOTH
def test_does_not_see_place_scale_or_a_turn(loss):
    student, teacher = draw(5, 6), draw(5, 3, 2, seed=1)
    turn, _ = torch.linalg.qr(draw(6, 6, seed=2))
    torch.testing.assert_close(loss(7 * student @ turn + 3, teacher), loss(student, teacher))


@BOTH
def test_is_zero_between_copies_of_other_width(loss):
    student = draw(5, 6)
    wider = torch.cat([2 * student, torch.ones(5, 4, dtype=torch.float64)], 1)
    assert loss(student, wider).abs().max() < 1e-12


def test_distances_are_divided_by_the_mean_over_different_pairs():
    """Points 0, 1, 3 on a line: distances 1, 3, 2, mean 2. The teacher's are all equal: 1 after division."""
    student = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    teacher = torch.eye(3, dtype=torch.float64)
    found = losses.relational_distance(student, teacher)
    off = 0.5 * 0.5**2  # both 1/2 and 3/2 are 1/2 from the teacher's 1
    expected = torch.tensor([[0, off, off], [off, 0, 0], [off, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_is_symmetric():
    distance = losses.relational_distance(draw(5, 6), draw(5, 3, seed=1))
    torch.testing.assert_close(distance, distance.mT)
    angle = losses.relational_angle(draw(5, 6), draw(5, 3, seed=1))
    torch.testing.assert_close(angle, angle.mT)  # from i to k as from k to i


@BOTH
def test_one_sample_gives_zero(loss):
    student = draw(1, 4).requires_grad_()
    value = loss(student, draw(1, 4, seed=1))
    value.sum().backward()
    assert value.flatten().tolist() == [0]
    assert student.grad.abs().max() == 0


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_samples_that_coincide_disturb_nothing(loss, dtype):
    """Their distance is 0 to the bit, their gradient moderate, all other entries as without rounding."""
    student = draw(4, 50).to(dtype) + 10
    student[2] = student[0]
    teacher = draw(4, 5, seed=1).to(dtype)
    teacher[2] = teacher[0]
    leaf = student.clone().requires_grad_()
    value = loss(leaf, teacher)
    value.sum().backward()
    assert value[0, 2].abs().max() == 0
    assert leaf.grad.abs().max() < 10
    exact = loss(student.double(), teacher.double())
    torch.testing.assert_close(value.detach().double(), exact, rtol=1e-4, atol=1e-4)


@BOTH
@pytest.mark.parametrize("gap", [1e-7, 1e-5, 1e-4])
def test_two_samples_nearer_than_rounding_send_no_enormous_gradient(loss, gap):
    student = draw(6, 50).float()
    student[2] = student[0] + gap * draw(50, seed=2).float()
    leaf = student.requires_grad_()
    value = loss(leaf, draw(6, 5, seed=1).float())
    value.sum().backward()
    assert value.isfinite().all()
    assert leaf.grad.abs().max() < 10


@BOTH
def test_a_sample_far_from_the_origin_keeps_its_relations(loss):
    """An offset that all samples share must not cost the precision of their differences."""
    student, teacher = draw(5, 6), draw(5, 3, seed=1)
    torch.testing.assert_close(
        loss((student + 1000).float(), teacher.float()).double(), loss(student, teacher), rtol=1e-2, atol=1e-3
    )


@BOTH
def test_other_numbers_of_samples_are_named(loss):
    with pytest.raises(BatchError, match=rf"\(2, 3\).*\(4, 3\).*{loss.__name__}.*same B"):
        loss(torch.zeros(2, 3), torch.zeros(4, 3))
    with pytest.raises(BatchError, match="at least one more dimension"):
        loss(torch.zeros(2), torch.zeros(2))
