"""The checks that losses share."""

import pytest
import torch

from kdkit import BatchError, losses


def test_another_number_of_dimensions_is_named_and_the_same_shape_let_through():
    losses.require_same_shape(torch.zeros(2, 3), torch.ones(2, 3))
    with pytest.raises(BatchError, match=r"\(2, 3\).*\(2, 3, 1\)"):
        losses.require_same_shape(torch.zeros(2, 3), torch.zeros(2, 3, 1))


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((2, 3, 8, 10), r"4x5.*8x10.*Resize\(4, 5\)"),
        ((1, 3, 4, 5), "mine needs the same samples"),
        ((2, 3, 20), "mine needs the same samples and positions"),
        ((2, 3), "mine needs maps"),
    ],
)
def test_other_positions_are_named_and_other_channels_let_through(shape, complaint):
    losses.require_same_positions(torch.zeros(2, 3, 4, 5), torch.zeros(2, 9, 4, 5), "mine")
    with pytest.raises(BatchError, match=complaint):
        losses.require_same_positions(torch.zeros(2, 3, 4, 5), torch.zeros(shape), "mine")
