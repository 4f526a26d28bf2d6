"""The cosine distance."""

from torch import Tensor

from kdkit.losses.numerics import unit, widen
from kdkit.losses.shapes import require_same_shape


def cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 - cos of the angle between the channel vectors at each position.

    A vector of length 0 (1e-8 at most) is at a right angle to all others: the loss there is 1, without a
    gradient, so that positions where a feature is silent do not send an enormous one.

    Args:
        prediction: [B, C] or [B, C, ...].
        target: the same shape.

    Returns:
        [B, 1] or [B, 1, ...], in [0, 2], float32 at least.

    Raises:
        BatchError: if the shapes differ.
    """
    require_same_shape(prediction, target)
    return 1 - (unit(widen(prediction), 1) * unit(widen(target), 1)).sum(1, keepdim=True)
