"""The shape checks that losses and objectives share."""

import torch
from torch import Tensor

from kdkit.errors import BatchError


def spatial_mismatch(prediction: Tensor, target: Tensor) -> str:
    """Return what is wrong, and the remedy, where two maps [B, K, h, w] differ in size; else nothing."""
    if not prediction.ndim == target.ndim == 4 or prediction.shape[2:] == target.shape[2:]:
        return ""
    height, width = prediction.shape[2:]
    return (
        f"the student's map is {height}x{width} and the target's {target.shape[2]}x{target.shape[3]}: "
        f"add transform=Resize({height}, {width})"
    )


def require_same_shape(prediction: Tensor, target: Tensor) -> None:
    """Raise a BatchError that names both shapes, and the remedy, where they differ."""
    if prediction.shape == target.shape:
        return
    if mismatch := spatial_mismatch(prediction, target):
        raise BatchError(mismatch)
    message = _both_shapes(prediction, target)
    if prediction.ndim == target.ndim and prediction.shape[1:2] != target.shape[1:2]:
        message += ": they differ in channels; give the student an Adaptor to the target's width"
    raise BatchError(message)


def require_same_positions(prediction: Tensor, target: Tensor, loss: str) -> None:
    """Raise a BatchError unless both are maps [B, C, ...] of the same samples and positions; C may differ.

    Args:
        prediction: the student's maps.
        target: the teacher's.
        loss: who asks, named in the error.
    """
    require_positions(prediction, loss)
    require_positions(target, loss)
    if mismatch := spatial_mismatch(prediction, target):
        raise BatchError(mismatch)
    if prediction.shape[:1] + prediction.shape[2:] != target.shape[:1] + target.shape[2:]:
        raise BatchError(
            f"{_both_shapes(prediction, target)}: {loss} needs the same samples and positions in both; "
            f"only the channels (dimension 1) may differ"
        )


def require_positions(maps: Tensor, loss: str) -> None:
    """Raise a BatchError unless these are maps [B, C, ...] with at least one spatial dimension."""
    if maps.ndim < 3:
        raise BatchError(
            f"{loss} needs maps [B, C, ...], found the shape {tuple(maps.shape)}: "
            f"name an output from before the network's pooling"
        )


def require_same_samples(prediction: Tensor, target: Tensor, loss: str) -> None:
    """Raise a BatchError unless both are [B, ...] of the same number of samples; all else may differ."""
    if min(prediction.ndim, target.ndim) < 2 or prediction.shape[0] != target.shape[0]:
        raise BatchError(
            f"{_both_shapes(prediction, target)}: {loss} compares the samples of a batch with each other and "
            f"needs [B, ...] with the same B in both, and at least one more dimension"
        )


def require_class_indices(prediction: Tensor, indices: Tensor, name: str) -> None:
    """Raise a BatchError unless the indices are one class a position of the logits [B, C, ...].

    Args:
        prediction: logits [B, C, ...].
        indices: should be of an integer type, [B, ...].
        name: how the error calls them.
    """
    if prediction.ndim < 2:
        raise BatchError(f"the logits have shape {tuple(prediction.shape)}, they must be [B, C, ...]")
    if indices.is_floating_point() or indices.is_complex():
        raise BatchError(f"the {name} is {indices.dtype}: it must hold class indices of an integer type")
    expected = prediction.shape[:1] + prediction.shape[2:]
    if indices.shape == expected:
        return
    message = (
        f"the {name} has shape {tuple(indices.shape)}: for logits of shape {tuple(prediction.shape)} it must hold "
        f"one class index a position, {tuple(expected)}"
    )
    if indices.ndim == prediction.ndim and indices.shape[1] == 1:
        message += f"; drop its dimension 1 ({name}.squeeze(1)) where the batch is made"
    elif indices.ndim == len(expected) > 1:
        message += "; resize it (nearest) where the batch is made, or give the student an Adaptor to its size"
    raise BatchError(message)


def require_classes(logits: Tensor, loss: str) -> None:
    """Raise a BatchError unless these are logits [B, C, ...] of two classes or more."""
    if logits.ndim < 2 or logits.shape[1] < 2:
        raise BatchError(
            f"{loss} needs logits [B, C, ...] of at least two classes, found the shape {tuple(logits.shape)}; "
            f"for one logit a position use bce_with_logits"
        )


def _both_shapes(prediction: Tensor, target: Tensor) -> str:
    return f"the prediction has shape {tuple(prediction.shape)} and the target {tuple(target.shape)}"


def is_broadcast(loss_map: Tensor, prediction: Tensor, target: Tensor) -> bool:
    """Return whether a loss map has the shape to which PyTorch spreads two tensors, repeating one of them.

    Class indices are compared with more than one value each: with them a map may be as large as the prediction.
    """
    if prediction.shape == target.shape:
        return False
    if not target.is_floating_point() and loss_map.numel() <= prediction.numel():
        return False
    try:
        spread: torch.Size = torch.broadcast_shapes(prediction.shape, target.shape)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return loss_map.shape == spread and spread.numel() > min(prediction.numel(), target.numel())
