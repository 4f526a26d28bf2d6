"""Divergences: their two directions of normalisation, and temperature."""

import pytest
import torch
from torch import Tensor

from kdkit import ConfigurationError, losses

BOTH = pytest.mark.parametrize("loss", [losses.spatial_kl, losses.channel_kl])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_each_does_not_see_an_offset_of_what_it_normalises_over():
    student, teacher = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    of_channels, of_places = draw(2, 3, 1, 1, seed=2), draw(2, 1, 4, 5, seed=3)
    torch.testing.assert_close(
        losses.spatial_kl(student + of_channels, teacher), losses.spatial_kl(student, teacher)
    )
    torch.testing.assert_close(
        losses.channel_kl(student + of_places, teacher), losses.channel_kl(student, teacher)
    )


@BOTH
def test_is_not_negative(loss):
    assert loss(draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)).min() >= 0


@BOTH
def test_gradients_keep_their_size_as_the_temperature_grows(loss):
    """At a high temperature the loss nears half the squared error of centred logits, at the next as well."""
    student, teacher = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    torch.testing.assert_close(
        loss(student, teacher, temperature=1e4), loss(student, teacher, temperature=2e4), rtol=1e-2, atol=1e-4
    )


@BOTH
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_above_zero(loss, temperature):
    with pytest.raises(ConfigurationError, match="temperature="):
        loss(draw(2, 3, 4, 5), draw(2, 3, 4, 5), temperature=temperature)
