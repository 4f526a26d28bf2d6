"""Maps with one peak: what is around it."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from kdkit.cache.codec import RecordCodec, Shape, require_maps, require_whole
from kdkit.cache.frame import Frame
from kdkit.cache.packing import Parts, dequantize, half_error, quantize, step_error, to_bytes, to_half
from kdkit.errors import ConfigurationError

WindowType = Literal["uint8", "float16"]


@dataclass(frozen=True)
class Window(RecordCodec):
    """Maps [C, h, w] with one peak, such as heatmaps: a window around each channel's largest value, 0 outside.

    Args:
        size: the window's height and width in cells.
        dtype: ``uint8``, 256 steps between the least and the greatest value of each window, which take 8 bytes a
            channel more; or ``float16``.

    Example:
        >>> Window(11, "uint8").record_bytes((17, 64, 48))
        2227
    """

    size: int = 11
    dtype: WindowType = "uint8"

    def __post_init__(self) -> None:
        require_whole("Window", "size", self.size)
        if self.dtype not in get_args(WindowType):
            raise ConfigurationError(f"Window: dtype is {self.dtype!r}, it must be one of {get_args(WindowType)}")

    def record_bytes(self, shape: Shape) -> int:
        """Return the bytes of a target."""
        require_maps("Window", shape)
        frame = Frame(shape, self.size)
        of_values = frame.cells + 8 if self.dtype == "uint8" else 2 * frame.cells
        return shape[0] * (frame.corner_dtype.itemsize + of_values)

    def encode(self, target: Tensor) -> Tensor:
        """Return targets [B, C, h, w] as uint8 [B, record_bytes]."""
        frame = Frame(tuple(target.shape[1:]), self.size)
        corners = _place(target, frame)
        values = frame.cut(target, corners)
        first = to_bytes(corners.to(frame.corner_dtype))
        if self.dtype == "float16":
            return torch.cat([first, to_bytes(to_half(values))], dim=1)
        steps, span = quantize(values)
        return torch.cat([first, to_bytes(span), to_bytes(steps)], dim=1)

    def decode(self, records: Tensor, shape: Shape) -> Tensor:
        """Return the targets, float32 [B, C, h, w]."""
        frame, parts = Frame(shape, self.size), Parts(records)
        corners = parts.take(frame.corner_dtype, shape[0])
        if self.dtype == "float16":
            return frame.paste(parts.take(torch.float16, shape[0], frame.cells), corners)
        span = parts.take(torch.float32, shape[0], 2)
        return frame.paste(dequantize(parts.take(torch.uint8, shape[0], frame.cells), span), corners)

    def tolerance(self, target: Tensor) -> Tensor:
        """Return half precision's rounding, or half a step of each window, which values outside may have, too."""
        if self.dtype == "float16":
            return half_error(target)
        frame = Frame(tuple(target.shape[1:]), self.size)
        return step_error(quantize(frame.cut(target, _place(target, frame)))[1]).unsqueeze(3)


def _place(target: Tensor, frame: Frame) -> Tensor:
    """The corners [B, C] of the windows around the largest value of each map; of several, around the first."""
    peak = target.flatten(2).argmax(2)
    width, (rows, columns) = frame.shape[2], frame.window
    return frame.corners(peak // width - rows // 2, peak % width - columns // 2)
