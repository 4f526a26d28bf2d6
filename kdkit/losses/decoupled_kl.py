"""Decoupled distillation of logits (DKD): the labelled class and the others each with a weight."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import require_above_zero, widen
from kdkit.losses.shapes import require_class_indices, require_classes, require_same_shape


def decoupled_kl(
    prediction: Tensor,
    target: Tensor,
    *,
    label: Tensor,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return alpha * TCKD + beta * NCKD at each position.

    TCKD is KL(target || prediction) between the two outcomes "the labelled class" and "another"; NCKD is the
    same between the other classes, given that it is one of them. With p the teacher's probability of the
    labelled class, TCKD + (1 - p) * NCKD is :func:`~kdkit.losses.channel_kl`.

    The label is a batch field: ``Distill(teacher, "logits", losses.decoupled_kl, fields=("label",))``.

    Args:
        prediction: logits [B, C] or [B, C, ...], C at least 2.
        target: the same shape.
        label: class indices [B] or [B, ...], of an integer type, below C. (An index outside raises an error of
            torch's own, on an accelerator a late one.)
        alpha: weight of TCKD.
        beta: weight of NCKD.
        temperature: divides both logits; the result is multiplied by its square.
        ignore_index: where the label is this, the loss is 0.

    Returns:
        [B, 1] or [B, 1, ...], in nats, float32 at least.

    Raises:
        BatchError: if the shapes do not fit, or the label is no integer.
        ConfigurationError: if the temperature is not above 0.

    Source: Zhao et al., Decoupled Knowledge Distillation (arXiv 2203.08679), eq. 6-8.

    Example:
        >>> logits, label = torch.zeros(2, 5, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64)
        >>> decoupled_kl(logits, logits, label=label).shape
        torch.Size([2, 1, 4, 4])
    """
    require_same_shape(prediction, target)
    require_classes(prediction, "decoupled_kl")
    require_class_indices(prediction, label, "label")
    require_above_zero("decoupled_kl: temperature", temperature)
    ignored = (label == ignore_index).unsqueeze(1)
    index = label.long().unsqueeze(1).masked_fill(ignored, 0)
    classes = torch.arange(prediction.shape[1], device=index.device)
    is_label = index == classes.reshape(1, -1, *(1,) * (prediction.ndim - 2))

    student = _split(prediction, index, is_label, temperature)
    teacher = _split(target, index, is_label, temperature)
    labelled = sum(_kl_term(t, s) for t, s in zip(teacher[:2], student[:2], strict=True))
    # Masked in the logarithm: at the label the probability may overflow, and 0 * inf is NaN.
    among_others = teacher[2].masked_fill(is_label, -torch.inf).exp()
    others = (among_others * (teacher[2] - student[2])).sum(1, keepdim=True)
    loss = (alpha * labelled + beta * others) * temperature**2
    return torch.where(ignored, 0, loss)


def _split(logits: Tensor, index: Tensor, is_label: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logarithms of p(label), p(another), and p(class | another), which at the label has no sense."""
    log_all = F.log_softmax(widen(logits) / temperature, 1)
    log_other = log_all.masked_fill(is_label, -torch.inf).logsumexp(1, keepdim=True)
    return log_all.gather(1, index), log_other, log_all - log_other


def _kl_term(log_teacher: Tensor, log_student: Tensor) -> Tensor:
    return log_teacher.exp() * (log_teacher - log_student)
