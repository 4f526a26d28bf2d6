"""The convolution that makes heatmaps."""

from torch import nn


def heatmap_layer(channels: int, num_keypoints: int) -> nn.Conv2d:
    """Return a 1x1 convolution from features to heatmaps, so small that the first ones are about 0.

    Heatmaps are nearly 0 almost everywhere; a network that starts there learns faster, above all a narrow one.
    """
    layer = nn.Conv2d(channels, num_keypoints, kernel_size=1)
    nn.init.normal_(layer.weight, std=0.001)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
