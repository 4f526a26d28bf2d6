"""Hints: a student's feature imitates a teacher's (FitNets)."""

from torch import Tensor

from kdkit.losses.pointwise import mse


def hint(prediction: Tensor, target: Tensor) -> Tensor:
    """Return half the squared error between a feature of the student and the teacher's hint.

    The paper's regressor, which brings the student's feature to the teacher's width, is an Adaptor beside the
    student. The paper sums over the elements of a sample; a mean reduction divides that by their number.

    Args:
        prediction: [B, ...], already at the teacher's width.
        target: the same shape.

    Returns:
        The prediction's shape, float32 at least.

    Raises:
        BatchError: if the shapes differ.

    Source: Romero et al., FitNets: Hints for Thin Deep Nets (arXiv 1412.6550), eq. 3.

    Example:
        >>> import torch
        >>> hint(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 1.0]]))
        tensor([[2., 0.]])
    """
    return 0.5 * mse(prediction, target)
