"""Maps seen from elsewhere: one affine warp a sample."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp_maps(maps: Tensor, warp: Tensor) -> Tensor:
    """Return maps as they are under an affine map of their cells, bilinear, 0 where nothing is known.

    Runs on the maps' device, for the whole batch at once, and never lets the host wait. A place between cells is
    the mean of the four around it by nearness, so a peak between cells loses height, as it does when a picture is
    warped; a warp that takes cells to cells, such as none, returns their values exactly.

    Args:
        maps: [B, C, h, w], floating.
        warp: [B, 2, 3], on the same device, where to look: cell (x, y) of the result shows the point
            ``warp[:, :, :2] @ (x, y) + warp[:, :, 2]`` of the maps. Both in cells, cell (0, 0)'s centre at (0, 0).
            Or [B, C, 2, 3], for each map its own.

    Returns:
        [B, C, h, w], of the maps' type.

    Example:
        >>> import torch
        >>> moved_left = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
        >>> warp_maps(torch.tensor([[[[1.0, 2.0, 3.0]]]]), moved_left)
        tensor([[[[2., 3., 0.]]]])
    """
    if warp.ndim == 4:
        return warp_maps(maps.flatten(0, 1)[:, None], warp.flatten(0, 1)).view_as(maps)
    rows, columns = maps.shape[-2:]
    height, width = _power_of_two(rows), _power_of_two(columns)
    x = torch.arange(columns, device=warp.device, dtype=warp.dtype)
    y = torch.arange(rows, device=warp.device, dtype=warp.dtype)
    # Written out: as a product of matrices it would be rounded to what autocast or the device prefers.
    places = warp[:, :, 0, None, None] * x + warp[:, :, 1, None, None] * y[:, None] + warp[:, :, 2, None, None]
    # Of sides that are powers of two, grid_sample's coordinates of whole cells are exact.
    grid = torch.stack([(2 * places[:, 0] + 1) / width - 1, (2 * places[:, 1] + 1) / height - 1], dim=-1)
    padded = F.pad(maps, (0, width - columns, 0, height - rows))
    return F.grid_sample(padded, grid.to(maps.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)


def _power_of_two(length: int) -> int:
    """The smallest power of two that is not below a length."""
    return 1 << max(length - 1, 0).bit_length()
