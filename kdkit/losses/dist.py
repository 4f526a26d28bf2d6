"""Distillation from a stronger teacher (DIST): correlations in place of equal probabilities."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import require_above_zero, unit, widen
from kdkit.losses.shapes import require_classes, require_same_shape


def dist(
    prediction: Tensor,
    target: Tensor,
    *,
    inter: float = 1.0,
    intra: float = 1.0,
    temperature: float = 1.0,
) -> Tensor:
    """Return inter * (1 - rho over the classes) + intra * (1 - rho over the samples), spread over the map.

    rho is Pearson's correlation of the student's and the teacher's probabilities: for the inter-class relation
    those of all classes at one position, for the intra-class relation those of one class at all positions of
    all samples of the batch, as the authors' code for segmentation has it. A correlation over the batch has no
    value at one sample; it is spread so that its mean over samples and positions is 1 - rho of that class: entry
    n of N is 1 - N * s_n * t_n, with s and t the centred vectors of length 1 (single entries may be negative).
    So the mean of the map is the paper's loss. What is constant correlates with nothing: 1, without a
    gradient; for logits [B, C] with B = 1 that is the whole intra-class relation.

    Args:
        prediction: logits [B, C] or [B, C, ...], C at least 2.
        target: the same shape.
        inter: weight of the inter-class relation.
        intra: weight of the intra-class relation.
        temperature: divides both logits; the result is multiplied by its square.

    Returns:
        [B, C] or [B, C, ...], float32 at least.

    Raises:
        BatchError: if the shapes differ, or there is but one class.
        ConfigurationError: if the temperature is not above 0.

    Source: Huang et al., Knowledge Distillation from A Stronger Teacher (arXiv 2205.10536), section 4.
    """
    require_same_shape(prediction, target)
    require_classes(prediction, "dist")
    require_above_zero("dist: temperature", temperature)
    student = F.softmax(widen(prediction) / temperature, 1)
    teacher = F.softmax(widen(target) / temperature, 1)
    samples = (0, *range(2, student.ndim))
    count = student.numel() // student.shape[1]
    between = 1 - (_standard(student, (1,)) * _standard(teacher, (1,))).sum(1, keepdim=True)
    within = 1 - count * _standard(student, samples) * _standard(teacher, samples)
    return (inter * between + intra * within) * temperature**2


def _standard(values: Tensor, dim: tuple[int, ...]) -> Tensor:
    """Return the values minus their mean, with length 1; zeros where they vary no more than rounding does."""
    rounding = 8 * torch.finfo(values.dtype).eps
    floor = rounding * torch.linalg.vector_norm(values.detach(), dim=dim, keepdim=True)
    return unit(values - values.mean(dim, keepdim=True), dim, floor)
