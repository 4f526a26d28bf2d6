"""Kullback-Leibler divergences over space and over channels."""

import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import require_above_zero, widen
from kdkit.losses.shapes import require_classes, require_positions, require_same_shape


def spatial_kl(prediction: Tensor, target: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return KL(target || prediction) of each channel's distribution over space: channel-wise distillation (CWD).

    Both are logits, made distributions by a softmax over all positions of a channel. The paper calls this
    channel-wise because each channel is normalised on its own; the sum runs over space.

    Args:
        prediction: [B, K, ...] with at least one spatial dimension.
        target: the same shape.
        temperature: divides both; the result is multiplied by its square, so that gradients keep their size.

    Returns:
        [B, K], in nats, float32 at least.

    Raises:
        BatchError: if the shapes differ, or there is no spatial dimension.
        ConfigurationError: if the temperature is not above 0.

    Source: Shu et al., Channel-wise Knowledge Distillation for Dense Prediction (arXiv 2011.13256), eq. 3-4.
    """
    require_same_shape(prediction, target)
    require_positions(prediction, "spatial_kl")
    return _kl(prediction.flatten(2), target.flatten(2), 2, temperature).squeeze(2)


def channel_kl(prediction: Tensor, target: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return KL(target || prediction) over the channels (classes) at each position: logit distillation (KD).

    Args:
        prediction: logits [B, C] or [B, C, ...].
        target: the same shape.
        temperature: divides both; the result is multiplied by its square, so that gradients keep their size.

    Returns:
        [B, 1] or [B, 1, ...], in nats, float32 at least.

    Raises:
        BatchError: if the shapes differ, or there is one class alone, of which nothing can be learned.
        ConfigurationError: if the temperature is not above 0.

    Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network (arXiv 1503.02531).
    """
    require_same_shape(prediction, target)
    require_classes(prediction, "channel_kl")
    return _kl(prediction, target, 1, temperature)


def _kl(prediction: Tensor, target: Tensor, dim: int, temperature: float) -> Tensor:
    require_above_zero("temperature", temperature)
    log_student = F.log_softmax(widen(prediction) / temperature, dim)
    log_teacher = F.log_softmax(widen(target) / temperature, dim)
    divergence = F.kl_div(log_student, log_teacher, reduction="none", log_target=True)
    return divergence.sum(dim, keepdim=True) * temperature**2
