"""The divergence from a heatmap: what of the target counts."""

import pytest
import torch
from torch import Tensor

from kdkit import ConfigurationError, losses


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_is_zero_where_the_student_has_the_heatmaps_distribution(temperature):
    logits = draw(2, 3, 4, 5)
    heat = 7 * torch.softmax(logits.flatten(2) / temperature, 2).view_as(logits)
    assert losses.heatmap_kl(logits, heat, temperature=temperature).abs().max() < 1e-12


def test_does_not_see_the_heatmaps_scale_nor_an_offset_of_the_logits():
    logits, heat = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    torch.testing.assert_close(losses.heatmap_kl(logits + 9, 0.2 * heat), losses.heatmap_kl(logits, heat))


def test_values_below_zero_count_as_zero():
    logits, heat = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    torch.testing.assert_close(losses.heatmap_kl(logits, heat), losses.heatmap_kl(logits, heat.clamp_min(0)))


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_channel_without_heat_gives_zero_and_no_gradient(value):
    logits, heat = draw(2, 3, 4, 5).requires_grad_(), draw(2, 3, 4, 5, seed=1)
    heat[0, 1] = value
    loss = losses.heatmap_kl(logits, heat)
    loss.sum().backward()
    assert loss[0, 1] == 0
    assert logits.grad[0, 1].abs().max() == 0
    assert logits.grad[0, 0].abs().max() > 0


def test_a_single_hot_place_gives_the_cross_entropy_of_places():
    logits = draw(2, 3, 4, 5)
    heat = torch.zeros_like(logits)
    heat[:, :, 1, 2] = 0.3
    expected = -torch.log_softmax(logits.flatten(2), 2)[:, :, 1 * 5 + 2]
    torch.testing.assert_close(losses.heatmap_kl(logits, heat), expected)


def test_is_the_spatial_divergence_where_the_heatmap_is_made_of_logits():
    logits, teacher = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    heat = torch.softmax(teacher.flatten(2), 2).view_as(teacher)
    torch.testing.assert_close(losses.heatmap_kl(logits, heat), losses.spatial_kl(logits, teacher))


def test_the_gradient_of_a_target_with_zeros_is_finite_too():
    heat = torch.zeros(1, 1, 4, requires_grad=True)
    losses.heatmap_kl(torch.zeros(1, 1, 4), heat).sum().backward()
    assert heat.grad.isfinite().all()


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ConfigurationError, match="temperature=0"):
        losses.heatmap_kl(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4), temperature=0)
