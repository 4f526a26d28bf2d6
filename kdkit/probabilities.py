"""Whether what a loss of probabilities is given are some."""

from functools import partial
from typing import Any

from torch import Tensor

from kdkit.errors import BatchError
from kdkit.losses import bce, bce_with_logits

# What rounding and warping make of 0; and far above what a peak that overshoots 1 has.
_LEAST, _MOST = -1e-3, 2.0


def plain_loss(loss: Any) -> Any:
    """Return a loss without what a partial adds to it."""
    while isinstance(loss, partial):
        loss = loss.func
    return loss


def require_probabilities(loss: Any, prediction: Tensor, output: str) -> None:
    """Require a student's output in [0, 1] where it is learned by ``bce``, which outside learns nothing.

    Waits for the device.

    Raises:
        BatchError: naming the output and its range.
    """
    if plain_loss(loss) is bce and prediction.numel():
        low, high = _range(prediction)
        if low < 0 or high > 1:
            raise BatchError(
                f"bce takes probabilities, but the student's output '{output}' goes from {low:.3g} to {high:.3g}: "
                f"end the student with a sigmoid, or learn by losses.bce_with_logits and apply the sigmoid "
                f"wherever the student is used"
            )


def require_probable_targets(loss: Any, target: Tensor, name: str) -> None:
    """Require targets that a cross-entropy of probabilities can reach.

    Below 0, as the heatmaps are of networks that learned by squared error, each step drives the student further
    down, past where it still learns. What overshoots 1 a little does no harm.

    Waits for the device.

    Raises:
        BatchError: naming the target and its range.
    """
    if (used := plain_loss(loss)) in (bce, bce_with_logits) and target.numel():
        low, high = _range(target)
        if low < _LEAST or high > _MOST:
            raise BatchError(
                f"{used.__name__} takes targets in [0, 1], but the target '{name}' goes from {low:.3g} to "
                f"{high:.3g}: give transform=Binarize(0.5), or Truncate(0.0) where only noise is below 0, or "
                f"another loss"
            )


def _range(values: Tensor) -> tuple[float, float]:
    low, high = values.detach().aminmax()
    return float(low), float(high)
