"""A Lite-HRNet's stem, the modules of its stages, what is between stages, and its head."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdkit_pose.models.litehrnet_layers import ConvUnit, SeparableUnit, interleave, separable_layers
from kdkit_pose.models.litehrnet_weighting import ConditionalChannelWeighting


class Stem(nn.Module):
    """A convolution of stride 2 and a shuffle block of stride 2: an image to features at a quarter."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = ConvUnit(3, channels, kernel=3, stride=2, activation=torch.relu)
        self.branch1 = nn.Sequential(
            ConvUnit(half, half, kernel=3, stride=2, groups=half), ConvUnit(half, half, activation=torch.relu)
        )
        self.expand_conv = ConvUnit(half, channels, activation=torch.relu)
        self.depthwise_conv = ConvUnit(channels, channels, kernel=3, stride=2, groups=channels)
        self.linear_conv = ConvUnit(channels, half, activation=torch.relu)

    def forward(self, image: Tensor) -> Tensor:
        """Return [B,channels,H/4,W/4]."""
        first, second = self.conv1(image).chunk(2, dim=1)
        return interleave(self.branch1(first), self.linear_conv(self.depthwise_conv(self.expand_conv(second))))


class ExchangeModule(nn.Module):
    """Channel weightings on parallel branches, and then sums over resolutions.

    Args:
        channels: Of the branches, from the highest resolution to the lowest.
        blocks: Number of channel weightings.
    """

    def __init__(self, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(ConditionalChannelWeighting(channels) for _ in range(blocks)))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(channels, source, target) for source in range(len(channels)))
            for target in range(len(channels))
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches, of the shapes they had.

        The published networks do not sum the branches evenly, and were trained that way: the highest
        resolution counts twice in each sum, and all but its own read it behind that sum.
        """
        first, *others = self.layers(branches)
        sums: list[Tensor] = []
        for layers in self.fuse_layers:
            own, *rest = cast(nn.ModuleList, layers)
            total: Tensor = 2 * own(sums[0] if sums else first)
            for layer, branch in zip(rest, others, strict=True):
                total = total + layer(branch)
            sums.append(total)
        return [torch.relu(x) for x in sums]


def _fuse_layer(channels: Sequence[int], source: int, target: int) -> nn.Module:
    """Return what brings a source branch to the size and the channels of a target branch."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], kernel_size=1, bias=False),
            nn.BatchNorm2d(channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    halvings = [
        separable_layers(channels[source], channels[source], stride=2, activate=True)
        for _ in range(target - source - 1)
    ]
    return nn.Sequential(*halvings, separable_layers(channels[source], channels[target], stride=2, activate=False))


class Transition(nn.ModuleList):
    """What stands before a stage: its branches of the stage before, and one more of half the lowest resolution.

    Args:
        before: Channels of the branches there are.
        after: Channels of the branches to make, one more.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        kept = [
            nn.Identity() if old == new else separable_layers(old, new, stride=1, activate=True)
            for old, new in zip(before, after, strict=False)
        ]
        added = nn.Sequential(separable_layers(before[-1], after[-1], stride=2, activate=True))
        super().__init__([*kept, added])

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches and the added one."""
        return [layer(x) for layer, x in zip(self, [*branches, branches[-1]], strict=True)]


class IterativeHead(nn.Module):
    """From the lowest resolution upwards, each branch joined by the one below it.

    Args:
        channels: Of the branches, from the highest resolution to the lowest.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        upwards = list(reversed(channels))
        outputs = [*upwards[1:], channels[0]]
        self.projects = nn.ModuleList(map(SeparableUnit, upwards, outputs))

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Return features at the highest resolution, [B,channels[0],h,w]."""
        lowest, *higher = reversed(branches)
        project, *projects = self.projects
        features: Tensor = project(lowest)
        for branch, project in zip(higher, projects, strict=True):
            upsampled = functional.interpolate(features, branch.shape[-2:], mode="bilinear", align_corners=True)
            features = project(branch + upsampled)
        return features
