"""The blocks of a Lightweight Pose Network."""

import torch
from torch import Tensor, nn

CONTEXT_RATIO = 16


class GlobalContext(nn.Module):
    """A vector added at every position, computed from the mean of the positions that a softmax attends to.

    Cao et al., GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond, ICCV 2019 workshops
    (arXiv 1904.11492), equation 4. It starts as the identity. The bias of `conv_mask` is there for the
    official files only: it shifts what a softmax reads, which changes nothing, so that its gradient is 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // CONTEXT_RATIO, 16)
        self.conv_mask = nn.Conv2d(channels, 1, kernel_size=1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size=1),
            nn.LayerNorm([hidden, 1, 1]),
            nn.ReLU(inplace=True),
            last := nn.Conv2d(hidden, channels, kernel_size=1),
        )
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return [B,C,h,w]."""
        attention = self.conv_mask(features).flatten(2).softmax(dim=2)
        context = features.flatten(2) @ attention.transpose(1, 2)
        added: Tensor = self.channel_add_conv(context.unsqueeze(3))
        return features + added


class LightweightBottleneck(nn.Module):
    """A bottleneck without a neck: pointwise, depthwise 3x3 and pointwise convolutions, and global context.

    Zhang et al., Simple and Lightweight Human Pose Estimation, 2019 (arXiv 1911.10346), section III-A.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, 1, groups=out_channels, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv3 = nn.Conv2d(out_channels, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.att = GlobalContext(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, features: Tensor) -> Tensor:
        """Return [B,out_channels,h/stride,w/stride]."""
        hidden = torch.relu(self.bn1(self.conv1(features)))
        hidden = torch.relu(self.bn2(self.conv2(hidden)))
        changed = self.att(self.bn3(self.conv3(hidden)))
        return torch.relu(changed + self.downsample(features))
