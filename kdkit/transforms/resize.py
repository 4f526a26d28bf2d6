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
        mode: ``bilinear`` (corners not aligned, antialiased when it shrinks), or ``nearest`` for class maps.

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
        """Return maps [B, K, height, width].

        Raises:
            BatchError: if the target is not four-dimensional.
        """
        if target.ndim != 4:
            raise BatchError(f"Resize: the target has shape {tuple(target.shape)}, it must be [B, K, h, w]")
        size = (self.height, self.width)
        if target.shape[2:] == size:
            return target
        if self.mode == "nearest":
            return F.interpolate(target, size, mode="nearest-exact")
        # In half precision some devices cannot.
        wide = target if target.dtype == torch.float64 else target.float()
        return F.interpolate(wide, size, mode="bilinear", antialias=True).to(target.dtype)
