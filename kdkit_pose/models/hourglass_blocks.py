"""What stacked hourglasses are made of: pre-activated residual blocks and the hourglass itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Pre-activated bottleneck: 1x1, 3x3 and 1x1 convolutions, each behind BatchNorm and ReLU.

    Newell, Yang and Deng (arXiv 1603.06937, figure 4); within, there are half the channels that it returns.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = outputs // 2
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inner, kernel_size=1)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, kernel_size=3, padding=1)
        self.bn3 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, kernel_size=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return [B,outputs,h,w] from [B,inputs,h,w]."""
        inner: Tensor = self.conv1(torch.relu(self.bn1(features)))
        inner = self.conv2(torch.relu(self.bn2(inner)))
        inner = self.conv3(torch.relu(self.bn3(inner)))
        shortcut: Tensor = self.shortcut(features)
        return inner + shortcut


class Hourglass(nn.Module):
    """Features down to `1 / 2**depth` of their resolution and up again, added to themselves at every scale.

    Args:
        depth: How often the resolution is halved.
        channels: Of the features, everywhere.
        blocks: Residual blocks at every place.
    """

    def __init__(self, depth: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.skip = residual_blocks(channels, blocks)
        self.down = residual_blocks(channels, blocks)
        inner: nn.Module = residual_blocks(channels, blocks)
        if depth > 1:
            inner = Hourglass(depth - 1, channels, blocks)
        self.inner = inner
        self.up = residual_blocks(channels, blocks)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B,C,h,w] of the same shape; h and w are multiples of `2**depth`."""
        coarse = self.down(functional.max_pool2d(features, kernel_size=2))
        coarse = self.up(self.inner(coarse))
        fine: Tensor = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        skipped: Tensor = self.skip(features)
        return skipped + fine


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """Return residual blocks that keep the number of channels."""
    return nn.Sequential(*(ResidualBlock(channels, channels) for _ in range(count)))
