"""DIST: its mean is the paper's loss, and correlation is all it sees."""

import pytest
import torch
from torch import Tensor

from kdkit import BatchError, losses


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row of a with that of b."""
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(a, b, strict=True)])


@pytest.mark.parametrize("shape", [(6, 4), (2, 4, 3, 5)])
def test_its_mean_is_one_minus_the_correlations(shape):
    student, teacher = draw(*shape), draw(*shape, seed=1)
    s, t = (torch.softmax(logits, 1).movedim(1, -1).reshape(-1, 4) for logits in (student, teacher))
    inter = losses.dist(student, teacher, intra=0.0)
    torch.testing.assert_close(inter.mean(), 1 - correlations(s, t).mean())
    intra = losses.dist(student, teacher, inter=0.0)
    torch.testing.assert_close(intra.mean(), 1 - correlations(s.T, t.T).mean())
    per_class = intra.movedim(1, 0).reshape(4, -1).mean(1)
    torch.testing.assert_close(per_class, 1 - correlations(s.T, t.T))


def test_the_inter_class_part_is_the_same_for_every_class_of_a_position():
    inter = losses.dist(draw(2, 4, 3), draw(2, 4, 3, seed=1), intra=0.0)
    torch.testing.assert_close(inter, inter[:, :1].expand_as(inter))


def test_the_parts_add_up():
    student, teacher = draw(2, 4, 3), draw(2, 4, 3, seed=1)
    parts = losses.dist(student, teacher, intra=0.0), losses.dist(student, teacher, inter=0.0)
    torch.testing.assert_close(losses.dist(student, teacher, inter=2.0, intra=3.0), 2 * parts[0] + 3 * parts[1])


def test_probabilities_in_a_linear_relation_have_no_inter_class_loss():
    """Pearson's correlation does not see scale and offset, where a divergence does."""
    teacher = torch.softmax(draw(5, 4), 1)
    student = 0.5 * teacher + 0.125
    loss = losses.dist(student.log(), teacher.log(), intra=0.0)
    assert loss.abs().max() < 1e-12
    assert losses.channel_kl(student.log(), teacher.log()).min() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_probabilities_correlate_with_nothing(dtype):
    """In float32 the mean of 0.1 ten times is not 0.1: rounding must not pass for a correlation."""
    student = torch.full((3, 10), 0.3, dtype=dtype, requires_grad=True)
    loss = losses.dist(student, draw(3, 10).to(dtype))
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.full((3, 10), 2.0, dtype=dtype), rtol=0, atol=0)
    assert student.grad.abs().max() == 0


def test_a_class_alone_is_refused():
    with pytest.raises(BatchError, match=r"dist needs logits.*two classes"):
        losses.dist(draw(2, 1, 3, 3), draw(2, 1, 3, 3))
