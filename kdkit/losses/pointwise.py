"""Losses of each element on its own."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import require_above_zero, widen
from kdkit.losses.shapes import require_same_shape


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the squared error, unreduced, in the prediction's shape (float32 at least).

    The official pose code halves it (0.5 * MSE); here a weight of 0.5 says the same.
    """
    require_same_shape(prediction, target)
    return F.mse_loss(widen(prediction), widen(target), reduction="none")


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the absolute error, unreduced, in the prediction's shape (float32 at least)."""
    require_same_shape(prediction, target)
    return F.l1_loss(widen(prediction), widen(target), reduction="none")


def smooth_l1(prediction: Tensor, target: Tensor, *, beta: float = 1.0) -> Tensor:
    """Return 0.5 * d^2 / beta where abs(d) < beta and abs(d) - 0.5 * beta elsewhere, in the prediction's shape.

    The result is float32 at least.

    Source: Girshick, Fast R-CNN (arXiv 1504.08083), equation 3, with beta.
    """
    require_same_shape(prediction, target)
    require_above_zero("smooth_l1: beta", beta)
    return F.smooth_l1_loss(widen(prediction), widen(target), reduction="none", beta=beta)


def bce_with_logits(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of sigmoid(prediction) against a target in [0, 1], unreduced.

    The result has the prediction's shape and is float32 at least.
    """
    require_same_shape(prediction, target)
    return F.binary_cross_entropy_with_logits(widen(prediction), widen(target), reduction="none")


def bce(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of a probability in [0, 1] against a target in [0, 1], unreduced.

    For students that end with a sigmoid; where the logits are at hand, ``bce_with_logits`` is more exact.
    Predictions below 1e-12, and in float32 above 1 - 6e-8, count as these, also outside [0, 1]: nothing is learned
    there. So the loss of a target of 1 is 27.6 at most, and of a target of 0 it is 16.6.

    The result has the prediction's shape and is float32 at least.
    """
    require_same_shape(prediction, target)
    probability, wanted = widen(prediction), widen(target)
    # 1 minus half an epsilon is the last number before 1. Towards 0, where a student's background is, there are
    # many more.
    probability = probability.clamp(1e-12, 1 - torch.finfo(probability.dtype).eps / 2)
    return -wanted * probability.log() - (1 - wanted) * (-probability).log1p()
