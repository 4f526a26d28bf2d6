"""From an unreduced loss map to one value a sample."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from kdkit.errors import BatchError
from kdkit.losses.numerics import widen

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


def require_map(loss_map: Tensor) -> None:
    """Raise a BatchError where a loss returned a single number."""
    if loss_map.ndim == 0:
        raise BatchError("the loss returned a single number: it must return an unreduced map [B, ...]")


def reduce_samples(
    loss_map: Tensor,
    region: Tensor | None,
    reduction: Reduction,
    over_processes: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Return one loss value a sample, [B]; their mean is the loss.

    ``mean`` averages the weighted map over all its elements, so that a region of zeros lowers the loss (the
    heatmap protocol's convention). ``weighted_mean`` divides by the region's sum over the batch, so that only
    what lies in the region counts; an empty region gives 0.

    Args:
        loss_map: [B, ...].
        region: weights that broadcast onto the map from the left, or none for ones. A weight of 0 does not hide
            a value that is not finite.
        reduction: ``mean`` or ``weighted_mean``.
        over_processes: gives a tensor's mean over the processes that share the batch, whose region then counts
            whole; by default there is one process.

    Raises:
        BatchError: if the map is a single number, or the region does not fit it.
    """
    require_map(loss_map)
    loss_map = widen(loss_map)  # a sum of many in half precision would be none
    weights = None if region is None else broadcast_region(region, loss_map)
    weighted = loss_map if weights is None else loss_map * weights
    samples = weighted.shape[0]
    if reduction == "mean":
        return weighted.reshape(samples, -1).mean(1)
    weights = torch.ones_like(loss_map) if weights is None else weights.expand_as(loss_map)
    total = weights.sum()
    count: Tensor | int = samples
    if over_processes is not None:
        # Shares are weighted by their samples later: this is each sample's part of the whole batch's region.
        count, total = over_processes(torch.stack([torch.full_like(total, samples), total])).unbind()
    share = weighted.reshape(samples, -1).sum(1) * count
    return torch.where(total > 0, share / total.clamp_min(torch.finfo(total.dtype).tiny), share * 0)
