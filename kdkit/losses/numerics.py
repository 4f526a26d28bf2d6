"""What keeps losses finite: wide arithmetic, and directions of vectors that may be zero."""

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError


def widen(values: Tensor) -> Tensor:
    """Return the values in float32 at least: float64 stays, half precision and integers become float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit(vectors: Tensor, dim: int | tuple[int, ...], floor: Tensor | float = 1e-8) -> Tensor:
    """Return the vectors along ``dim`` with length 1, and zeros, with no gradient, where there is no direction.

    Args:
        vectors: of any shape, in float32 at least.
        dim: the dimension or dimensions that make one vector.
        floor: the length up to which a vector counts as zero.
    """
    length = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    # Written so that NaN is no zero: a diverged network must not look like a silent one.
    is_zero = length <= floor
    return torch.where(is_zero, 0, vectors / torch.where(is_zero, 1, length))


def require_above_zero(name: str, value: float) -> None:
    """Raise a ConfigurationError that names the option where its value is not above 0."""
    if not value > 0:
        raise ConfigurationError(f"{name}={value}: it must be above 0")
