"""Decoding by the centroid of the peak's region, for flat discs, which have no single highest cell."""

import torch
from torch import Tensor
from torch.nn import functional

from kdkit_pose.codecs.peak import find_peaks, neighbourhood


def peak_centroids(heatmap: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """The value-weighted centroid of the region around each map's highest cell.

    The region holds the cells of at least half of the peak's value that are joined to it, sideways or
    cornerwise, in at most ``reach`` steps: a second person's peak elsewhere in the map does not pull.

    Args:
        heatmap: [B, K, h, w], finite, floating.
        reach: Steps in heatmap pixels; at least the width of the discs to be decoded, since any of a disc's
            cells may be the highest.

    Returns:
        Points [B, K, 2] (x, y) in pixels of the heatmap, always finite, and the peaks' values [B, K]; (0, 0)
        and 0 for a map without a positive value.
    """
    cells, peak = find_peaks(heatmap)
    # No cell further away can be reached, so a window around the peak stands for the map.
    window = neighbourhood(heatmap, cells, reach)
    steps = torch.arange(-reach, reach + 1, device=heatmap.device)
    columns, rows = cells[..., 0, None] + steps, cells[..., 1, None] + steps
    height, width = heatmap.shape[-2:]
    in_map = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    high = (in_map & (window >= 0.5 * peak[..., None, None])).to(heatmap.dtype)
    region = torch.zeros_like(high)
    region[..., reach, reach] = 1
    for _ in range(reach):
        region = functional.max_pool2d(region, kernel_size=3, stride=1, padding=1) * high
    # Dividing by the peak first keeps the sums well scaled, whatever the map's range.
    scale = torch.where(peak > 0, peak, 1.0)[..., None, None]
    weight = region * (window / scale).clamp(min=0)
    total = weight.sum(dim=(-2, -1))
    moment = torch.stack(
        [(weight.sum(dim=-2) * steps).sum(dim=-1), (weight.sum(dim=-1) * steps).sum(dim=-1)], dim=-1
    )
    # Where nothing is positive all weights are 0, and the point is find_peaks' (0, 0).
    return cells + moment / torch.where(total > 0, total, 1.0)[..., None], peak
