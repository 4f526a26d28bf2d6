import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from kdkit_pose.masks.losses import bce, dice


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(3, 1, 6, 5, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def mask() -> torch.Tensor:
    return torch.rand(3, 1, 6, 5, generator=torch.Generator().manual_seed(1)).round()


def test_bce_is_torchs_pixel_by_pixel(logits: torch.Tensor, mask: torch.Tensor) -> None:
    expected = binary_cross_entropy_with_logits(logits, mask, reduction="none")
    torch.testing.assert_close(bce(logits, mask), expected)


def test_dice_is_each_persons_own(logits: torch.Tensor, mask: torch.Tensor) -> None:
    expected = []
    for one, truth in zip(logits.sigmoid(), mask, strict=True):
        expected.append(1 - 2 * (one * truth).sum() / (one.sum() + truth.sum()))
    torch.testing.assert_close(dice(logits, mask), torch.stack(expected))
    for row in range(3):
        torch.testing.assert_close(dice(logits[row : row + 1], mask[row : row + 1]), expected[row][None])


def test_a_perfect_mask_costs_nothing_and_an_empty_one_teaches_nothing() -> None:
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, :2] = 1
    logits = ((mask - 0.5) * 80).requires_grad_()
    assert dice(logits, mask).max() < 1e-6
    assert bce(logits, mask).max() < 1e-6
    values = dice(torch.zeros(2, 1, 4, 4, requires_grad=True), mask)
    assert values[1] == 0
    assert 0 < values[0] < 1
