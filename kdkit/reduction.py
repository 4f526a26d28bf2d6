"""From an unreduced loss map to one value a sample."""

from typing import Literal

import torch
from torch import Tensor

from kdkit.errors import BatchError

Reduction = Literal["mean", "weighted_mean"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "weighted_mean")


def broadcast_region(region: Tensor, loss_map: Tensor) -> Tensor:
    """Return the region with dimensions of size 1 added at the right, fit to multiply the map.

    Args:
        region: weights [B], [B, K], [B, 1, h, w] ...: each dimension is the map's own or 1.
        loss_map: [B, ...].

    Raises:
        BatchError: if the region cannot be broadcast onto the map from the left.
    """
    fits = region.ndim <= loss_map.ndim and all(
        size in (1, expected) for size, expected in zip(region.shape, loss_map.shape, strict=False)
    )
    if not fits or region.ndim == 0:
        raise BatchError(
            f"a region of shape {tuple(region.shape)} cannot be laid on a loss map of shape "
            f"{tuple(loss_map.shape)} from the left: each of its dimensions must be the map's or 1"
        )
    return region.reshape(*region.shape, *(1,) * (loss_map.ndim - region.ndim)).to(loss_map.dtype)


def reduce_samples(loss_map: Tensor, region: Tensor | None, reduction: Reduction) -> Tensor:
    """Return one loss value a sample, [B]; their mean is the loss.

    ``mean`` averages the weighted map over all its elements, so that a region of zeros lowers the loss (the
    heatmap protocol's convention). ``weighted_mean`` divides by the region's sum over the batch, so that only
    what lies in the region counts; an empty region gives 0.

    Args:
        loss_map: [B, ...].
        region: weights that broadcast onto the map from the left, or none for ones.
        reduction: ``mean`` or ``weighted_mean``.
    """
    if loss_map.ndim == 0:
        raise BatchError("the loss returned a single number: it must return an unreduced map [B, ...]")
    weights = None if region is None else broadcast_region(region, loss_map)
    weighted = loss_map if weights is None else loss_map * weights
    samples = weighted.shape[0]
    if reduction == "mean":
        return weighted.reshape(samples, -1).mean(1)
    weights = torch.ones_like(loss_map) if weights is None else weights.expand_as(loss_map)
    total = weights.sum()
    share = weighted.reshape(samples, -1).sum(1) * samples
    return torch.where(total > 0, share / total.clamp_min(torch.finfo(total.dtype).tiny), share * 0)
