"""Tensors as the bytes of records, and values in fewer bits."""

from math import prod

import torch
from torch import Tensor


def to_bytes(values: Tensor) -> Tensor:
    """Return values [B, ...] as uint8 [B, bytes of a sample]."""
    return values.flatten(1).contiguous().view(torch.uint8)


class Parts:
    """Takes a batch of records apart, part by part, on the device they are on.

    Args:
        records: uint8 [B, bytes].
    """

    def __init__(self, records: Tensor) -> None:
        self._records, self._start = records, 0

    def take(self, dtype: torch.dtype, *shape: int) -> Tensor:
        """Return the next part as [B, *shape]."""
        end = self._start + dtype.itemsize * prod(shape)
        # A copy of its own: bytes can be seen as a wider type only where they begin at a multiple of it.
        part = self._records[:, self._start : end].clone(memory_format=torch.contiguous_format)
        self._start = end
        return part.view(dtype).view(len(part), *shape)


def pack_bits(bits: Tensor) -> Tensor:
    """Return bool [B, n] as uint8 [B, ceil(n / 8)], the first bit lowest."""
    padded = torch.nn.functional.pad(bits.to(torch.uint8), (0, -bits.shape[1] % 8))
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    octets = padded.view(len(padded), padded.shape[1] // 8, 8)
    return torch.sum(octets << places, 2, dtype=torch.uint8)


def unpack_bits(packed: Tensor, count: int) -> Tensor:
    """Return the first ``count`` bits of uint8 [B, n] as uint8 [B, count] of zeros and ones."""
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    return ((packed.unsqueeze(2) >> places) & 1).flatten(1)[:, :count]


def quantize(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return values [B, C, n] in 256 steps between each channel's least and greatest.

    Returns:
        The steps, uint8 [B, C, n], and least and greatest, float32 [B, C, 2].
    """
    span = torch.stack([values.amin(2), values.amax(2)], dim=2).float()
    low, high = span[..., :1], span[..., 1:]
    width = torch.where(high > low, high - low, 1)
    return ((values.float() - low) / width * 255).round().to(torch.uint8), span


def dequantize(steps: Tensor, span: Tensor) -> Tensor:
    """Return what :func:`quantize` was given, within half a step: float32 [B, C, n]."""
    low, high = span[..., :1], span[..., 1:]
    return low + steps.float() * ((high - low) / 255)


def step_error(span: Tensor) -> Tensor:
    """Return the most that :func:`quantize` changes a value by, for each channel: [B, C, 1]."""
    low, high = span[..., :1], span[..., 1:]
    return (high - low) * (0.5 / 255) + 1e-6 * torch.maximum(low.abs(), high.abs())


def to_half(values: Tensor) -> Tensor:
    """Return values as float16; what is out of its range becomes its largest."""
    largest = torch.finfo(torch.float16).max
    return values.float().clamp(-largest, largest).half()


def half_error(values: Tensor) -> Tensor:
    """Return the most that float16 changes each value by, where it is in its range."""
    return values.float().abs() * 2**-11 + 2**-25
