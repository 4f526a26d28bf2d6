"""The cross-entropy of classes."""

import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import widen
from kdkit.losses.shapes import require_class_indices, require_classes, require_same_shape


def cross_entropy(prediction: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return -sum over the classes of target * log softmax(prediction), at each position.

    Args:
        prediction: logits [B, C] or [B, C, ...].
        target: class indices [B] or [B, ...] of an integer type, below C (an index outside raises an error of
            torch's own, on an accelerator a late one); or probabilities of a floating type in the
            prediction's shape.
        ignore_index: where an index is this, the loss is 0.

    Returns:
        [B, 1] or [B, 1, ...], in nats, float32 at least.

    Raises:
        BatchError: if the shapes do not fit, or there is one class alone.

    Example:
        >>> import torch
        >>> cross_entropy(torch.zeros(1, 2, 3), torch.tensor([[0, 1, -100]]))
        tensor([[[0.6931, 0.6931, 0.0000]]])
    """
    logits = widen(prediction)
    if target.is_floating_point():
        require_same_shape(prediction, target)
        require_classes(prediction, "cross_entropy")
        loss = F.cross_entropy(logits, target.to(logits.dtype), reduction="none")
    else:
        require_class_indices(prediction, target, "target")
        require_classes(prediction, "cross_entropy")
        loss = F.cross_entropy(logits, target.long(), reduction="none", ignore_index=ignore_index)
    return loss.unsqueeze(1)
