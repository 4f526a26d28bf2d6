"""Masked generative distillation (MGD): a teacher's feature made again from a student's masked one."""

from torch import Tensor

from kdkit.losses.pointwise import mse


def masked_generative(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the squared error between the feature generated from the student and the teacher's.

    The masking and the generation have parameters, so they are a module beside the student:
    :class:`kdkit.adaptors.MaskedGeneration`, whose output is the prediction here. The paper sums over the
    elements of a sample; a mean reduction divides that by their number, so that the paper's weight alpha
    becomes alpha * C * h * w.

    Args:
        prediction: the generated feature [B, C, h, w].
        target: the teacher's feature, the same shape.

    Returns:
        The prediction's shape, float32 at least.

    Raises:
        BatchError: if the shapes differ.

    Source: Yang et al., Masked Generative Distillation (arXiv 2205.01529), the loss of section 3.
    """
    return mse(prediction, target)
