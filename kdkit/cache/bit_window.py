"""Binary maps, one bit a cell."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.cache.codec import RecordCodec, Shape, require_maps, require_whole
from kdkit.cache.frame import Frame
from kdkit.cache.packing import Parts, pack_bits, to_bytes, unpack_bits
from kdkit.errors import ConfigurationError


@dataclass(frozen=True)
class BitWindow(RecordCodec):
    """Maps [C, h, w] of zeros and ones, such as binarized heatmaps: one window a channel, zeros outside.

    The window is centred on all cells that are 1, where they fit; otherwise on the component (of cells that touch,
    at corners too) in which they lie densest; where that does not fit either, it is where most of them are. So a
    map of one component that fits is exact, and :meth:`inexact` tells of every other.

    Args:
        size: the window's height and width in cells. A Gaussian of standard deviation 2 binarized at 0.5 is 5
            cells wide; teachers' are wider.

    Example:
        >>> import torch
        >>> codec, target = BitWindow(11), torch.zeros(1, 17, 64, 48)
        >>> target[0, :, 30:35, 10:15] = 1
        >>> codec.record_bytes((17, 64, 48))
        292
        >>> bool(torch.equal(codec.decode(codec.encode(target), (17, 64, 48)), target))
        True
    """

    size: int = 11

    def __post_init__(self) -> None:
        require_whole("BitWindow", "size", self.size)

    def record_bytes(self, shape: Shape) -> int:
        """Return the bytes of a target: a corner a channel, and the bits of all channels together."""
        require_maps("BitWindow", shape)
        frame = Frame(shape, self.size)
        return shape[0] * frame.corner_dtype.itemsize + -(-shape[0] * frame.cells // 8)

    def encode(self, target: Tensor) -> Tensor:
        """Return targets [B, C, h, w] as uint8 [B, record_bytes].

        Raises:
            ConfigurationError: if a value is neither 0 nor 1.
        """
        maps = target == 1
        if not (maps | (target == 0)).all():
            raise ConfigurationError(
                "BitWindow holds maps of zeros and ones, the target has other values: binarize it first, "
                "transforms={output: Binarize(0.5)}, or use Window"
            )
        frame = Frame(tuple(target.shape[1:]), self.size)
        corners = _place(maps, frame)
        bits = frame.cut(maps, corners).flatten(1)
        return torch.cat([to_bytes(corners.to(frame.corner_dtype)), pack_bits(bits)], dim=1)

    def decode(self, records: Tensor, shape: Shape) -> Tensor:
        """Return the targets, float32 [B, C, h, w] of zeros and ones."""
        frame, parts = Frame(shape, self.size), Parts(records)
        corners = parts.take(frame.corner_dtype, shape[0])
        count = shape[0] * frame.cells
        bits = unpack_bits(parts.take(torch.uint8, -(-count // 8)), count)
        return frame.paste(bits.view(-1, shape[0], frame.cells), corners)


def _place(maps: Tensor, frame: Frame) -> Tensor:
    """The corners [B, C] of the windows on bool maps [B, C, h, w]."""
    corners, fits = _centre(maps, frame)
    if not fits.all():
        corners[~fits] = _place_on_densest(maps[~fits], frame)
    return corners


def _centre(maps: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
    """The corners [...] of windows centred on all cells of maps [..., h, w], and whether these fit."""
    (top, rows), (left, columns) = _extent(maps.any(-1)), _extent(maps.any(-2))
    height, width = frame.window
    # Half of an odd rest goes above and to the left; an empty map's extent is below 0, and fits anywhere.
    rest_above = (height - rows).div(2, rounding_mode="floor")
    rest_left = (width - columns).div(2, rounding_mode="floor")
    return frame.corners(top - rest_above, left - rest_left), (rows <= height) & (columns <= width)


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """The first place of bool [..., n] that is set, and the length from there to the last."""
    length = occupied.shape[-1]
    places = torch.arange(length, device=occupied.device)
    first = torch.where(occupied, places, length).amin(-1)
    last = torch.where(occupied, places, -1).amax(-1)
    return first, last - first + 1


def _place_on_densest(maps: Tensor, frame: Frame) -> Tensor:
    """The corners [N] for bool maps [N, h, w] whose cells do not all fit."""
    corners, fits = _centre(_densest_component(maps, frame.size), frame)
    counts = F.avg_pool2d(maps.unsqueeze(1).float(), frame.window, stride=1).squeeze(1)
    columns = counts.shape[-1]
    most = (counts * frame.cells).round().flatten(1).argmax(1)
    return torch.where(fits, corners, frame.corners(most // columns, most % columns))


def _densest_component(maps: Tensor, size: int) -> Tensor:
    """Of each of bool maps [N, h, w] the component of the cell that has the most others around it."""
    cells = maps.unsqueeze(1).float()
    around = F.avg_pool2d(cells, 2 * (size // 2) + 1, stride=1, padding=size // 2) * cells
    seed = around.flatten(2).argmax(2)
    component = torch.zeros_like(cells).flatten(2).scatter_(2, seed.unsqueeze(2), 1).view_as(cells)
    while True:
        grown = F.max_pool2d(component, 3, stride=1, padding=1) * cells
        if torch.equal(grown, component):
            return component.squeeze(1) > 0
        component = grown
