"""Windows on maps: where they lie, what is in them, and maps made of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.cache.codec import Shape, index_dtype


@dataclass(frozen=True)
class Frame:
    """Windows of one size on maps [C, h, w], one a channel, each wholly on its map.

    A window's place is its upper left cell, (row, column).

    Args:
        shape: of the maps.
        size: the window's height and width, at most the map's.
    """

    shape: Shape
    size: int

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of a window."""
        return min(self.size, self.shape[1]), min(self.size, self.shape[2])

    @property
    def cells(self) -> int:
        """The number of cells of a window."""
        return self.window[0] * self.window[1]

    @property
    def corner_dtype(self) -> torch.dtype:
        """The type in which a corner is stored, as its index on the map."""
        return index_dtype(self.shape[1] * self.shape[2])

    def corners(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the index on the map of the windows' upper left cells, each moved until it is on the map."""
        _, height, width = self.shape
        rows = rows.clamp(0, height - self.window[0])
        columns = columns.clamp(0, width - self.window[1])
        return rows * width + columns

    def cut(self, maps: Tensor, corners: Tensor) -> Tensor:
        """Return what is in the windows of maps [B, C, h, w]: [B, C, cells]."""
        return maps.flatten(2).gather(2, self._indices(corners))

    def paste(self, values: Tensor, corners: Tensor) -> Tensor:
        """Return float32 maps [B, C, h, w] that are ``values`` [B, C, cells] in the windows and 0 elsewhere."""
        batch, (channels, height, width) = len(values), self.shape
        maps = values.new_zeros((batch, channels, height * width), dtype=torch.float32)
        maps.scatter_(2, self._indices(corners), values.float())
        return maps.view(batch, channels, height, width)

    def _indices(self, corners: Tensor) -> Tensor:
        width = self.shape[2]
        # A damaged record's corner must not lead out of the map.
        corners = self.corners(corners.long() // width, corners.long() % width)
        rows = torch.arange(self.window[0], device=corners.device) * width
        columns = torch.arange(self.window[1], device=corners.device)
        return corners.unsqueeze(2) + (rows.unsqueeze(1) + columns).flatten()
