"""Averages of a map a sample, a channel or a position."""

from typing import Literal, get_args

import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.reduction import broadcast_region

Granularity = Literal["sample", "channel", "position"]
"""One value a sample [B], a channel [B, K], or a position over all channels [B, 1, ...]."""


def require_granularity(per: str, owner: str) -> None:
    """Raise a ConfigurationError that names the owner if there is no such granularity."""
    if per not in get_args(Granularity):
        raise ConfigurationError(f"{owner}: per='{per}' must be one of {', '.join(get_args(Granularity))}")


def average(values: Tensor, per: Granularity, weights: Tensor | None = None) -> Tensor:
    """Return the mean of a map over all that is finer than a granularity.

    Args:
        values: [B, ...]; a channel mean needs [B, K, ...], a mean a position [B, K, h, w] or the like.
        per: the granularity.
        weights: not negative, laid on the map from the left; where they are all 0 the mean is 0. A value of
            weight 0 does not count even if it is not finite.

    Returns:
        [B], [B, K] or [B, 1, ...].

    Raises:
        BatchError: if the map is coarser than the granularity, or the weights do not fit it.
    """
    dims = {"sample": tuple(range(1, values.ndim)), "channel": tuple(range(2, values.ndim)), "position": (1,)}[per]
    if values.ndim < {"sample": 1, "channel": 2, "position": 3}[per]:
        raise BatchError(
            f"values of shape {tuple(values.shape)} cannot be averaged per {per}: they are coarser than that"
        )
    keep = per == "position"
    if weights is None:
        return values.mean(dims, keepdim=keep) if dims else values
    weights = broadcast_region(weights, values).expand_as(values)
    if not dims:
        return torch.where(weights > 0, values, 0)
    weighted = torch.where(weights > 0, values * weights, 0).sum(dims, keepdim=keep)
    total = weights.sum(dims, keepdim=keep)
    # Where nothing counts the sum is 0 too, and so is the mean.
    return weighted / torch.where(total > 0, total, 1)
