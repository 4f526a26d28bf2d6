"""Attention transfer: what its reductions are, and what it does not see."""

import pytest
import torch

from kdkit import BatchError, ConfigurationError, losses


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_its_mean_is_the_authors_code_and_its_sum_the_papers_norm_squared():
    student, teacher = draw(3, 4, 5, 6), draw(3, 7, 5, 6)
    maps = [torch.nn.functional.normalize(f.pow(2).mean(1).flatten(1)) for f in (student, teacher)]
    loss = losses.attention_transfer(student, teacher)
    torch.testing.assert_close(loss.mean(), (maps[0] - maps[1]).pow(2).mean())
    torch.testing.assert_close(loss.flatten(1).sum(1).sqrt(), torch.linalg.vector_norm(maps[0] - maps[1], dim=1))


@pytest.mark.parametrize("factor", [-3.0, 1e-5, 1e150])
def test_does_not_see_scale_sign_or_order_of_channels(factor):
    student, teacher = draw(2, 4, 5, 6), draw(2, 4, 5, 6).roll(1, 0)
    other = factor * student[:, [2, 0, 3, 1]]
    torch.testing.assert_close(
        losses.attention_transfer(other, teacher), losses.attention_transfer(student, teacher)
    )


def test_high_powers_of_large_activations_do_not_overflow():
    student = (6e4 * torch.rand(2, 64, 5, 5, generator=torch.Generator().manual_seed(1))).half()
    assert losses.attention_transfer(student, student.roll(1, 0), power=8.0).isfinite().all()


def test_a_silent_map_is_as_far_from_the_teachers_as_nothing():
    loss = losses.attention_transfer(torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4))
    torch.testing.assert_close(loss.flatten(1).sum(1), torch.ones(2))


def test_a_power_below_one_is_refused():
    with pytest.raises(ConfigurationError, match=r"power=0\.5.*at least 1"):
        losses.attention_transfer(draw(2, 3, 4, 4), draw(2, 3, 4, 4), power=0.5)


def test_other_positions_without_a_grid_are_named():
    with pytest.raises(BatchError, match=r"\(2, 3, 4\).*\(2, 3, 5\).*attention_transfer.*positions"):
        losses.attention_transfer(draw(2, 3, 4), draw(2, 3, 5))
    with pytest.raises(BatchError, match=r"\(2, 3, 4, 4\).*\(1, 3, 4, 4\).*same samples"):
        losses.attention_transfer(draw(2, 3, 4, 4), draw(1, 3, 4, 4))
