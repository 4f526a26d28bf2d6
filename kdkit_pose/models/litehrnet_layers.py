"""The layers that Lite-HRNet is made of, under the names of its official state dict."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConvUnit(nn.Module):
    """A convolution `conv`, perhaps its batch normalisation `bn`, and an activation.

    Args:
        in_channels: Channels read.
        out_channels: Channels made.
        kernel: Side of the kernel; the input is padded so that stride 1 keeps its size.
        stride: Step of the kernel.
        groups: Groups of channels; as many as there are channels make it depthwise.
        normalise: With batch normalisation, and then without a bias.
        activation: What is applied last, None for nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        normalise: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=not normalise
        )
        self.bn = nn.BatchNorm2d(out_channels) if normalise else nn.Identity()
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Return [B,out_channels,h/stride,w/stride]."""
        result: Tensor = self.bn(self.conv(features))
        return result if self.activation is None else self.activation(result)


class SeparableUnit(nn.Module):
    """A depthwise 3x3 and a pointwise convolution, the second with an activation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvUnit(in_channels, in_channels, kernel=3, groups=in_channels)
        self.pointwise_conv = ConvUnit(in_channels, out_channels, activation=torch.relu)

    def forward(self, features: Tensor) -> Tensor:
        """Return [B,out_channels,h,w]."""
        result: Tensor = self.pointwise_conv(self.depthwise_conv(features))
        return result


def separable_layers(in_channels: int, out_channels: int, stride: int, *, activate: bool) -> nn.Sequential:
    """Return a depthwise 3x3 and a pointwise convolution, each normalised, as one flat sequence."""
    layers = [
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if activate else []))


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Return the channels of two [B,C,h,w] in turn, [B,2C,h,w]: the channel shuffle of two groups.

    Zhang et al., ShuffleNet, CVPR 2018, figure 1. Stacking the groups saves joining them first.
    """
    return torch.stack((first, second), dim=2).flatten(1, 2)
