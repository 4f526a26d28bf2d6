"""Warping maps of peaks so that each peak goes where the warp takes it and keeps its shape's size."""

import torch
from torch import Tensor

_AROUND = 2  # cells from the highest one, among which a peak's middle is looked for


def keep_width(maps: Tensor, warp: Tensor) -> Tensor:
    """Return a warp for each map that moves, turns and mirrors as ``warp`` does and does not zoom, about its peak.

    A teacher's peaks are as wide as it learned, whatever the picture's zoom; those of a zoomed map are not. What
    lies far from a map's highest peak is moved with that peak, and so comes to a wrong place where ``warp`` zooms.

    Args:
        maps: [B, C, h, w], each of one peak that matters.
        warp: [B, 2, 3], as of :func:`kdkit.cache.warp_maps`.

    Returns:
        [B, C, 2, 3], for :func:`kdkit.cache.warp_maps`.

    Example:
        >>> import torch
        >>> maps = torch.zeros(1, 1, 1, 8)
        >>> maps[..., 4] = 1
        >>> keep_width(maps, torch.tensor([[[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]]))
        tensor([[[[1., 0., 2.],
                  [0., 1., 0.]]]])
    """
    peak_x, peak_y = _peaks(maps)
    (a, b, left), (c, d, top) = (row.unbind(1) for row in warp.unsqueeze(3).unbind(1))
    determinant = a * d - b * c
    # Where in the view the peak is: the warp backwards. Written out, since a device's inverse lets the host wait.
    x, y = peak_x - left, peak_y - top
    view_x, view_y = (d * x - b * y) / determinant, (a * y - c * x) / determinant
    scale = determinant.abs().sqrt()
    a, b, c, d = (part / scale for part in (a, b, c, d))
    rows = [
        torch.stack([one.expand_as(offset), other.expand_as(offset), offset], dim=-1)
        for one, other, offset in (
            (a, b, peak_x - (a * view_x + b * view_y)),
            (c, d, peak_y - (c * view_x + d * view_y)),
        )
    ]
    return torch.stack(rows, dim=2)


def _peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The middles (x, y) of each map's peak, [B, C] each, in cells: the mean of the cells around the highest that
    are above half of it, by how much they are."""
    rows, columns = maps.shape[-2:]
    values = maps.flatten(2)
    highest, place = values.max(2)
    y = torch.arange(rows, device=maps.device, dtype=maps.dtype)
    x = torch.arange(columns, device=maps.device, dtype=maps.dtype)
    row, column = torch.div(place, columns, rounding_mode="floor"), place % columns
    near_y = (y - row[..., None]).abs() <= _AROUND
    near_x = (x - column[..., None]).abs() <= _AROUND
    weight = (maps - highest[..., None, None] / 2).clamp(min=0) * (near_y[..., None] & near_x[..., None, :])
    total = weight.sum((2, 3))
    flat = total <= 0  # a map without a positive value: its first highest cell will do
    total = total.clamp(min=torch.finfo(maps.dtype).tiny)
    middle_x = (weight.sum(2) * x).sum(2) / total
    middle_y = (weight.sum(3) * y).sum(2) / total
    return torch.where(flat, column, middle_x), torch.where(flat, row, middle_y)
