"""Ways to decode the maps of students that learnt binarized targets, for decoder_study.py to compare.

Each takes heatmaps [B, K, h, w] and gives points [B, K, 2] in pixels of the heatmap.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from kdkit_pose.codecs import Codec, peak_centroids
from kdkit_pose.codecs.newton import wide_derivatives
from kdkit_pose.codecs.peak import find_peaks, neighbourhood
from kdkit_pose.codecs.refine import refine
from kdkit_pose.codecs.smoothing import smooth

Decode = Callable[[Tensor], Tensor]


def candidates(codec: Codec) -> dict[str, Decode]:
    """The decoders by name; the first is what the others are compared with."""
    found: dict[str, Decode] = {"region 0.5, by value": partial(region_centroid, share=0.5, weight="value")}
    found["highest cell"] = lambda heatmap: find_peaks(heatmap)[0].float()
    own = replace(codec, decoder="peak")
    found["codec's own"] = lambda heatmap: own.decode(heatmap)[0] / torch.tensor(codec.cell_size)
    for weight in ("value", "one", "excess"):
        for share in (0.3, 0.5, 0.6, 0.7, 0.8):
            found[f"region {share}, by {weight}"] = partial(region_centroid, share=share, weight=weight)
    for kernel in (3, 5, 7):
        for share in (0.5, 0.7, 0.8):
            name = f"smoothed {kernel}, region {share}, by excess"
            found[name] = partial(region_centroid, share=share, weight="excess", kernel=kernel)
    for kernel in (5, 7, 9, 11):
        found[f"smoothed {kernel}, Newton step"] = partial(smoothed_top, kernel=kernel, sigma=0.7 * codec.sigma)
    found["peak_centroids (in use)"] = lambda heatmap: peak_centroids(heatmap, codec.sigma)[0]
    return found


def smoothed_top(heatmap: Tensor, kernel: int, sigma: float) -> Tensor:
    """A Newton step from the highest cell of the smoothed map."""
    smoothed = smooth(heatmap, kernel, margin=2)
    cells, _ = find_peaks(smoothed[..., 2:-2, 2:-2])
    return refine(smoothed, cells, kernel=kernel, sigma=sigma, reach=2, derivatives=wide_derivatives)


def region_centroid(heatmap: Tensor, share: float, weight: str, kernel: int = 0, reach: int = 9) -> Tensor:
    """The centroid of the cells of at least ``share`` of the peak's value that are joined to it.

    They are weighted by ``value``, by ``one`` each, or by their ``excess`` over the share; with a ``kernel`` the
    map is smoothed before.
    """
    if kernel:
        heatmap = smooth(heatmap, kernel, margin=0)
    cells, peak = find_peaks(heatmap)
    window = neighbourhood(heatmap, cells, reach) / peak.clamp(min=1e-9)[..., None, None]
    steps = torch.arange(-reach, reach + 1)
    columns, rows = cells[..., 0, None] + steps, cells[..., 1, None] + steps
    height, width = heatmap.shape[-2:]
    in_map = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    high = (in_map & (window >= share)).float()
    region = torch.zeros_like(high)
    region[..., reach, reach] = 1
    for _ in range(reach):
        region = functional.max_pool2d(region, kernel_size=3, stride=1, padding=1) * high
    weights = {"value": window, "one": torch.ones_like(window), "excess": (window - share).clamp(min=1e-6)}[weight]
    weighted = region * weights
    moments = [(weighted.sum(dim=-2) * steps).sum(dim=-1), (weighted.sum(dim=-1) * steps).sum(dim=-1)]
    return cells + torch.stack(moments, dim=-1) / weighted.sum(dim=(-2, -1)).clamp(min=1e-9)[..., None]
