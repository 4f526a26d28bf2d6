"""The divergence of a student's map of logits from a heatmap taken as a distribution."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import require_above_zero, widen
from kdkit.losses.shapes import require_positions, require_same_shape


def heatmap_kl(prediction: Tensor, target: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return KL(target || prediction) of each keypoint's distribution over the positions.

    The target is a heatmap, not logits: values below 0 count as 0, and each channel is divided by its sum. A
    channel without any heat says nothing about where its keypoint is: its loss is 0, without a gradient. Where
    both are logits, use :func:`~kdkit.losses.spatial_kl`.

    Args:
        prediction: logits [B, K, ...] with at least one spatial dimension, made a distribution by a softmax.
        target: the same shape.
        temperature: divides the prediction alone: the smaller, the smaller the differences between logits that
            make a sharp peak. The target has none, so the result is not multiplied by its square.

    Returns:
        [B, K], in nats, float32 at least.

    Raises:
        BatchError: if the shapes differ, or there is no spatial dimension.
        ConfigurationError: if the temperature is not above 0.

    Example:
        >>> peak = torch.tensor([[[0.0, 0.5, -1.0, 0.5]]])
        >>> heatmap_kl(torch.zeros(1, 1, 4), peak)  # two of four places: log 2
        tensor([[0.6931]])
    """
    require_same_shape(prediction, target)
    require_positions(prediction, "heatmap_kl")
    require_above_zero("heatmap_kl: temperature", temperature)
    log_student = F.log_softmax(widen(prediction).flatten(2) / temperature, 2)
    heat = widen(target).flatten(2).clamp_min(0)
    total = heat.sum(2, keepdim=True)
    share = heat / torch.where(total == 0, 1, total)
    # The limit of x * log(x) at 0 is 0; the inner choice keeps the gradient finite there.
    entropy = share * torch.where(share == 0, 1, share).log()
    return (entropy - share * log_student).sum(2)
