"""Conditional channel weighting: weights of channels, computed from all resolutions, for pointwise convolutions.

Yu et al., Lite-HRNet: A Lightweight High-Resolution Network, CVPR 2021, sections 3.2 and 3.3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdkit_pose.models.litehrnet_layers import ConvUnit, interleave

CROSS_RESOLUTION_RATIO = 8
SPATIAL_RATIO = 4


class CrossResolutionWeighting(nn.Module):
    """A weight for every channel of every branch at each position of the lowest resolution.

    Args:
        channels: Of the branches, from the highest resolution to the lowest, each half the one before.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        total = sum(channels)
        hidden = total // CROSS_RESOLUTION_RATIO
        self.conv1 = ConvUnit(total, hidden, activation=torch.relu)
        self.conv2 = ConvUnit(hidden, total, activation=torch.sigmoid)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches weighted.

        Resolutions are exact powers of two apart, so that pooling by a fixed window is the paper's adaptive
        pooling, and does without its uneven windows, which no exchange format has.
        """
        *higher, lowest = branches
        factors = [2**level for level in range(len(higher), 0, -1)]
        pooled = [functional.avg_pool2d(x, factor) for x, factor in zip(higher, factors, strict=True)]
        joined = self.conv2(self.conv1(torch.cat([*pooled, lowest], dim=1)))
        *weights, lowest_weight = joined.split(self.channels, dim=1)
        weighted = [
            x * functional.interpolate(weight, scale_factor=float(factor), mode="nearest")
            for x, weight, factor in zip(higher, weights, factors, strict=True)
        ]
        return [*weighted, lowest * lowest_weight]


class SpatialWeighting(nn.Module):
    """A weight for every channel, computed from the means of all channels of the branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // SPATIAL_RATIO
        self.conv1 = ConvUnit(channels, hidden, normalise=False, activation=torch.relu)
        self.conv2 = ConvUnit(hidden, channels, normalise=False, activation=torch.sigmoid)

    def forward(self, features: Tensor) -> Tensor:
        """Return [B,C,h,w] weighted."""
        weight: Tensor = self.conv2(self.conv1(features.mean(dim=(2, 3), keepdim=True)))
        return features * weight


class ConditionalChannelWeighting(nn.Module):
    """A shuffle block whose pointwise convolutions are weightings: half of the channels pass it unchanged.

    Args:
        channels: Of the branches, from the highest resolution to the lowest.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        halves = [count // 2 for count in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves)
        self.depthwise_convs = nn.ModuleList(ConvUnit(half, half, kernel=3, groups=half) for half in halves)
        self.spatial_weighting = nn.ModuleList(SpatialWeighting(half) for half in halves)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches, of the shapes they had."""
        pairs = [x.chunk(2, dim=1) for x in branches]
        weighted = self.cross_resolution_weighting([second for _, second in pairs])
        changed = [
            weighting(conv(x))
            for x, conv, weighting in zip(weighted, self.depthwise_convs, self.spatial_weighting, strict=True)
        ]
        return [interleave(first, second) for (first, _), second in zip(pairs, changed, strict=True)]
