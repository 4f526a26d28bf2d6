"""The highest cell of each heatmap, and the values around it."""

import torch
from torch import Tensor


def find_peaks(heatmap: Tensor) -> tuple[Tensor, Tensor]:
    """The highest cell of each map of ``heatmap`` [B, K, h, w].

    Returns:
        Cells [B, K, 2] int64 (x, y), and the values there [B, K]. As in the reference, a map without a
        positive value has its peak at (0, 0); its value is given as 0.
    """
    width = heatmap.shape[-1]
    value, index = heatmap.flatten(2).max(dim=-1)
    index = torch.where(value > 0, index, 0)
    return torch.stack([index % width, index // width], dim=-1), value.clamp(min=0)


def neighbourhood(heatmap: Tensor, cells: Tensor, radius: int) -> Tensor:
    """The values [B, K, 2 * radius + 1, 2 * radius + 1] of ``heatmap`` [B, K, h, w] around ``cells`` [B, K,
    2].

    Beyond the border the nearest cell's value is repeated.
    """
    height, width = heatmap.shape[-2:]
    steps = torch.arange(-radius, radius + 1, device=heatmap.device)
    columns = (cells[..., 0, None] + steps).clamp(0, width - 1)
    rows = (cells[..., 1, None] + steps).clamp(0, height - 1)
    index = rows[..., :, None] * width + columns[..., None, :]
    return heatmap.flatten(2).gather(-1, index.flatten(2)).reshape(index.shape)


def interior(heatmap: Tensor, cells: Tensor, margin: int) -> Tensor:
    """Which ``cells`` [B, K, 2] are far enough from the border to be refined, [B, K, 1] bool.

    They are those of 1 < x < w - margin, and so for y; the left bound leaves a column unused, as in the
    reference.
    """
    size = cells.new_tensor([heatmap.shape[-1], heatmap.shape[-2]])
    return ((cells > 1) & (cells < size - margin)).all(dim=-1, keepdim=True)
