"""Kullback-Leibler divergences over space and over channels."""

import torch.nn.functional as F
from torch import Tensor

from kdkit.errors import BatchError
from kdkit.losses.shapes import require_same_shape


def spatial_kl(prediction: Tensor, target: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return KL(target || prediction) of each channel's distribution over space.

    Both are logits, made distributions by a softmax over all positions of a channel.

    Args:
        prediction: [B, K, ...] with at least one spatial dimension.
        target: the same shape.
        temperature: divides both; the result is multiplied by its square, so that gradients keep their size.

    Returns:
        [B, K], in nats.

    Source: Shu et al., Channel-wise Knowledge Distillation for Dense Prediction (arXiv 2011.13256), eq. 3-4.
    """
    require_same_shape(prediction, target)
    if prediction.ndim < 3:
        raise BatchError(f"spatial_kl needs maps [B, K, ...], found the shape {tuple(prediction.shape)}")
    return _kl(prediction.flatten(2), target.flatten(2), 2, temperature).squeeze(2)


def channel_kl(prediction: Tensor, target: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return KL(target || prediction) of the distribution over channels (classes), at each position.

    Args:
        prediction: logits [B, C] or [B, C, ...].
        target: the same shape.
        temperature: divides both; the result is multiplied by its square, so that gradients keep their size.

    Returns:
        [B, 1] or [B, 1, ...], in nats.

    Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network (arXiv 1503.02531).
    """
    require_same_shape(prediction, target)
    return _kl(prediction, target, 1, temperature)


def _kl(prediction: Tensor, target: Tensor, dim: int, temperature: float) -> Tensor:
    log_student = F.log_softmax(prediction / temperature, dim)
    log_teacher = F.log_softmax(target / temperature, dim)
    divergence = F.kl_div(log_student, log_teacher, reduction="none", log_target=True)
    return divergence.sum(dim, keepdim=True) * temperature**2
