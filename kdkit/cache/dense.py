"""Whole targets."""

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor

from kdkit.cache.codec import RecordCodec, Shape
from kdkit.cache.packing import Parts, dequantize, half_error, quantize, step_error, to_bytes, to_half
from kdkit.errors import ConfigurationError

DenseType = Literal["float32", "float16", "uint8"]


@dataclass(frozen=True)
class Dense(RecordCodec):
    """Every value of a target of any shape.

    Args:
        dtype: ``float32``, exact; ``float16``, half precision; or ``uint8``, 256 steps between the least and the
            greatest value of each channel, which take 8 bytes a channel more.

    Example:
        >>> import torch
        >>> codec, target = Dense("float16"), torch.rand(2, 17, 64, 48)
        >>> codec.record_bytes((17, 64, 48))
        104448
        >>> torch.allclose(codec.decode(codec.encode(target), (17, 64, 48)), target, atol=1e-3)
        True
    """

    dtype: DenseType = "float16"

    def __post_init__(self) -> None:
        if self.dtype not in get_args(DenseType):
            raise ConfigurationError(f"Dense: dtype is {self.dtype!r}, it must be one of {get_args(DenseType)}")

    def record_bytes(self, shape: Shape) -> int:
        """Return the bytes of a target."""
        if self.dtype == "uint8":
            return prod(shape) + 8 * _channels(shape)[0]
        return prod(shape) * (4 if self.dtype == "float32" else 2)

    def encode(self, target: Tensor) -> Tensor:
        """Return targets [B, *shape] as uint8 [B, record_bytes]."""
        if self.dtype == "uint8":
            steps, span = quantize(_by_channel(target))
            return torch.cat([to_bytes(span), to_bytes(steps)], dim=1)
        values = target.float() if self.dtype == "float32" else to_half(target)
        return to_bytes(_by_channel(values))

    def decode(self, records: Tensor, shape: Shape) -> Tensor:
        """Return the targets, float32 [B, *shape]."""
        parts = Parts(records)
        if self.dtype == "uint8":
            channels, size = _channels(shape)
            span = parts.take(torch.float32, channels, 2)
            return dequantize(parts.take(torch.uint8, channels, size), span).view(-1, *shape)
        return parts.take(getattr(torch, self.dtype), *shape).float()

    def tolerance(self, target: Tensor) -> Tensor:
        """Return half precision's rounding, or half a step."""
        if self.dtype == "uint8":
            error = step_error(quantize(_by_channel(target))[1])
            return error.expand(_by_channel(target).shape).reshape(target.shape)
        return half_error(target) if self.dtype == "float16" else super().tolerance(target)


def _channels(shape: Shape) -> tuple[int, int]:
    """How many channels there are, and the values of one; a vector [C] is one channel."""
    return (1, prod(shape)) if len(shape) < 2 else (shape[0], prod(shape[1:]))


def _by_channel(target: Tensor) -> Tensor:
    return target.reshape(len(target), *_channels(tuple(target.shape[1:])))
