"""Losses of each element: relations between them."""

import pytest
import torch

from kdkit import ConfigurationError, losses


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_hint_is_half_the_squared_error():
    student, teacher = draw(2, 3, 4), draw(2, 3, 4, seed=1)
    torch.testing.assert_close(2 * losses.hint(student, teacher), losses.mse(student, teacher))
    torch.testing.assert_close(losses.masked_generative(student, teacher), losses.mse(student, teacher))


def test_smooth_l1_is_a_hint_with_a_wide_bend_and_l1_with_a_narrow_one():
    student, teacher = draw(2, 3, 4), draw(2, 3, 4, seed=1)
    torch.testing.assert_close(100 * losses.smooth_l1(student, teacher, beta=100.0), losses.hint(student, teacher))
    torch.testing.assert_close(
        losses.smooth_l1(student, teacher, beta=1e-9), losses.l1(student, teacher), rtol=0, atol=1e-8
    )


def test_a_bend_of_zero_is_refused():
    with pytest.raises(ConfigurationError, match="beta=0"):
        losses.smooth_l1(draw(2, 3), draw(2, 3), beta=0)


def test_squares_of_large_half_precision_values_do_not_overflow():
    student = torch.full((1, 2), 3e4, dtype=torch.float16)
    torch.testing.assert_close(losses.mse(student, -student), torch.full((1, 2), 3.6e9), rtol=1e-3, atol=0)


def test_bce_is_least_at_the_targets_logit():
    target = torch.rand(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = target.logit().requires_grad_()
    losses.bce_with_logits(logits, target).sum().backward()
    assert logits.grad.abs().max() < 1e-12


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_bce_of_a_sigmoid_is_that_of_its_logits(target):
    """Down to a background of 1e-9, in float32, and its gradient is."""
    logits = torch.linspace(-20, 10, 31).requires_grad_()
    wanted = torch.full_like(logits, target)
    of_logits, of_probability = losses.bce_with_logits(logits, wanted), losses.bce(logits.sigmoid(), wanted)
    torch.testing.assert_close(of_probability, of_logits, rtol=1e-3, atol=1e-6)
    expected, found = (torch.autograd.grad(loss.sum(), logits)[0] for loss in (of_logits, of_probability))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_bce_is_finite_for_what_is_certain_and_wrong():
    found = losses.bce(torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0, 1.0]))
    torch.testing.assert_close(found, torch.tensor([27.631, 16.636, 0.0, 0.0]), rtol=1e-4, atol=1e-6)
