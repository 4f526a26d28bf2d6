"""The convolution that makes heatmaps, and what may stand behind it."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from kdkit.errors import ConfigurationError

Activation = Literal["none", "sigmoid"]
"""What a network's heatmaps go through: nothing, or a sigmoid, which makes them probabilities."""

PRIOR = 0.01
"""What a sigmoid's heatmaps are everywhere at first. Nearly all of a target is 0: begun at 0.5, that would be all
there is to learn for long. Source: Lin et al., Focal Loss (arXiv 1708.02002), section 3.3."""


class HeatmapLayer(nn.Conv2d):
    """A 1x1 convolution from features to heatmaps, and perhaps a sigmoid.

    Args:
        channels: Of the features.
        num_keypoints: Number of heatmaps K.
    """

    activation: Activation = "none"

    def __init__(self, channels: int, num_keypoints: int) -> None:
        super().__init__(channels, num_keypoints, kernel_size=1)

    def start_low(self) -> None:
        """Make the weights so small that the first heatmaps are about 0.

        Heatmaps are nearly 0 almost everywhere; a network that starts there learns faster, above all a narrow one.
        """
        nn.init.normal_(self.weight, std=0.001)
        self._fill_bias(0.0)

    def activate(self, activation: str) -> None:
        """Let the heatmaps go through an activation; those of a sigmoid start at :data:`PRIOR`.

        Raises:
            ConfigurationError: An unknown activation.
        """
        if activation not in get_args(Activation):
            raise ConfigurationError(
                f"no activation is called {activation!r}; choose one of {', '.join(get_args(Activation))}"
            )
        self.activation = activation  # type: ignore[assignment]  # as checked
        self._fill_bias(0.0 if activation == "none" else math.log(PRIOR / (1 - PRIOR)))

    def _fill_bias(self, value: float) -> None:
        if self.bias is not None:
            nn.init.constant_(self.bias, value)

    def forward(self, features: Tensor) -> Tensor:
        """Return heatmaps [B,K,h,w] of features [B,C,h,w]."""
        heatmap = super().forward(features)
        if self.activation == "none":
            return heatmap
        # Half precision has no numbers between 0.9995 (bfloat16: 0.996) and 1. Under autocast, where the weights
        # are in float32, the probabilities are in it, too.
        wide = heatmap.to(torch.promote_types(heatmap.dtype, torch.float32))
        return wide.sigmoid().to(self.weight.dtype)

    def extra_repr(self) -> str:
        """Return the convolution's settings, and the activation where there is one."""
        text: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return text + ("" if self.activation == "none" else f", activation={self.activation}")


def heatmap_layer(channels: int, num_keypoints: int) -> HeatmapLayer:
    """Return a layer whose first heatmaps are about 0."""
    layer = HeatmapLayer(channels, num_keypoints)
    layer.start_low()
    return layer
