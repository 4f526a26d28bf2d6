"""Attention transfer: where a layer is active, whatever its channels."""

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit.losses.numerics import unit, widen
from kdkit.losses.shapes import require_same_positions


def attention_transfer(prediction: Tensor, target: Tensor, *, power: float = 2.0) -> Tensor:
    """Return the squared difference of two attention maps, each of length 1 over the positions of a sample.

    The attention of a position is the sum over the channels of abs(activation)^power. With d the difference
    of the two maps, the map returned is d^2 at each position. Its mean over the positions is what the authors'
    code minimises; its sum is the square of the norm that the paper's equation takes of d. A map that is zero
    everywhere has no direction: its attention is zero and sends no gradient.

    Args:
        prediction: [B, C, h, w] or [B, C, N].
        target: of the same samples and positions; its channels may differ.
        power: at least 1; the higher, the more the strongest activations count.

    Returns:
        [B, 1, h, w] or [B, 1, N], float32 at least.

    Raises:
        BatchError: if the positions differ, or there are none.
        ConfigurationError: if the power is below 1.

    Source: Zagoruyko and Komodakis, Paying More Attention to Attention (arXiv 1612.03928), eq. 2.

    Example:
        >>> student, teacher = torch.zeros(1, 2, 1, 2), torch.zeros(1, 3, 1, 2)
        >>> student[..., 0], teacher[..., 1] = 1.0, 5.0  # one looks left, the other right
        >>> attention_transfer(student, teacher)
        tensor([[[[1., 1.]]]])
    """
    require_same_positions(prediction, target, "attention_transfer")
    if not power >= 1:
        raise ConfigurationError(
            f"attention_transfer: power={power}: it must be at least 1 (below, its gradient at 0 is infinite)"
        )
    difference = _attention(prediction, power) - _attention(target, power)
    return difference.square().reshape(prediction.shape[0], 1, *prediction.shape[2:])


def _attention(features: Tensor, power: float) -> Tensor:
    strength = widen(features).flatten(2).abs()
    # A common factor of a sample does not change its map of length 1, nor that map's gradient: dividing by a
    # constant keeps the powers from overflowing and from vanishing.
    largest = strength.detach().amax((1, 2), keepdim=True)
    strength = strength / torch.where(largest <= 1e-8, 1, largest)
    return unit(strength.pow(power).sum(1, keepdim=True), 2)
