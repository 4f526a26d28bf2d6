"""Normalization of target maps."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.losses.numerics import widen
from kdkit.transforms.transform import TargetTransform

_MODES = ("sum", "peak", "l2", "standard")


@dataclass(frozen=True)
class Normalize(TargetTransform):
    """Normalizes each sample's target along some dimensions.

    Args:
        mode: ``sum`` (each map sums to 1: a probability map), ``peak`` (its maximum is 1), ``l2`` (its length
            is 1) or ``standard`` (mean 0, standard deviation 1).
        dims: the dimensions normalized together, counted from the end; by default the two spatial ones, so
            every channel of every sample on its own.

    A map that cannot be divided (sum, peak, length or deviation of 0) stays 0 rather than become NaN.

    Example:
        >>> import torch
        >>> Normalize("peak")(torch.tensor([[[[0.0, 0.25, 0.5]]]]))
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """

    mode: Literal["sum", "peak", "l2", "standard"]
    dims: tuple[int, ...] = (-2, -1)

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ConfigurationError(f"Normalize: mode '{self.mode}' must be one of {', '.join(_MODES)}")
        if not self.dims or any(dim >= 0 for dim in self.dims):
            raise ConfigurationError(f"Normalize: dims {self.dims} must count from the end (negative)")

    def __call__(self, target: Tensor) -> Tensor:
        """Return the normalized target.

        Raises:
            BatchError: if the dimensions reach the batch dimension or beyond.
        """
        if any(-dim >= target.ndim for dim in self.dims):
            raise BatchError(
                f"Normalize: dims {self.dims} reach the batch dimension of a target of shape {tuple(target.shape)}"
            )
        values = widen(target)
        if self.mode == "standard":
            # A map that varies no more than rounding does is constant.
            floor = 8 * torch.finfo(values.dtype).eps * values.square().mean(self.dims, keepdim=True).sqrt()
            values = values - values.mean(self.dims, keepdim=True)
            divisor = values.square().mean(self.dims, keepdim=True).sqrt()
            divisor = torch.where(divisor <= floor, 0, divisor)
        elif self.mode == "l2":
            divisor = torch.linalg.vector_norm(values, dim=self.dims, keepdim=True)
        elif self.mode == "sum":
            divisor = values.sum(self.dims, keepdim=True)
        else:
            divisor = values.amax(self.dims, keepdim=True)
        normal = torch.where(divisor == 0, torch.zeros_like(values), values / divisor)
        return normal.to(target.dtype) if target.is_floating_point() else normal
