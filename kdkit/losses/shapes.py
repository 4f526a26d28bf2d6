"""The shape checks that losses and objectives share."""

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
    message = f"the prediction has shape {tuple(prediction.shape)} and the target {tuple(target.shape)}"
    if prediction.ndim == target.ndim and prediction.shape[1:2] != target.shape[1:2]:
        message += ": they differ in channels; give the student an Adaptor to the target's width"
    raise BatchError(message)
