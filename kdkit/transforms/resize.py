"""Spatial resizing of target maps."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.transforms.transform import TargetTransform


@dataclass(frozen=True)
class Resize(TargetTransform):
    """Resizes maps [B, K, h, w] to the student's size, for teachers of another stride or input size.

    Args:
        height: of the result, in cells.
        width: of the result, in cells.
        mode: ``bilinear`` (corners not aligned, antialiased when it shrinks), or ``nearest`` for class maps, which
            may also be [B, h, w] and of any type.

    Example:
        >>> import torch
        >>> Resize(64, 48)(torch.zeros(2, 17, 96, 72)).shape
        torch.Size([2, 17, 64, 48])
    """

    height: int
    width: int
    mode: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ConfigurationError(f"Resize: {self.height}x{self.width} must be at least 1x1")
        if self.mode not in ("bilinear", "nearest"):
            raise ConfigurationError(f"Resize: mode '{self.mode}' must be 'bilinear' or 'nearest'")

    def __call__(self, target: Tensor) -> Tensor:
        """Return maps [B, K, height, width], or [B, height, width] of class maps [B, h, w].

        Raises:
            BatchError: if the target is no such map, or of whole numbers, between which there is nothing.
        """
        floating, size = target.is_floating_point(), (self.height, self.width)
        if target.ndim != 4 and (target.ndim != 3 or floating):
            raise BatchError(
                f"Resize: the target has shape {tuple(target.shape)}, it must be [B, K, h, w], or "
                f"[B, h, w] of classes"
            )
        if target.shape[-2:] == size:
            return target
        if self.mode == "nearest":
            if floating:
                return F.interpolate(target, size, mode="nearest-exact")
            rows, columns = (_nearest(*lengths, target) for lengths in zip(target.shape[-2:], size, strict=True))
            return target[..., rows[:, None], columns]
        if not floating:
            raise BatchError(f"Resize: a target of {target.dtype} holds classes: resize it with mode='nearest'")
        # In half precision some devices cannot.
        wide = target if target.dtype == torch.float64 else target.float()
        return F.interpolate(wide, size, mode="bilinear", antialias=True).to(target.dtype)


def _nearest(there: int, wanted: int, target: Tensor) -> Tensor:
    """Return which of so many cells lies nearest to each wanted cell's centre, as ``nearest-exact`` has it."""
    return (torch.arange(wanted, device=target.device) * 2 + 1) * there // (2 * wanted)
