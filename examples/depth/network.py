"""A small encoder-decoder that predicts depth and, as a teacher, how far it is to be trusted."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class DepthNetwork(nn.Module):
    """Maps a picture [B, 3, H, W], and maps beside it, to [B, 1, H, W]: the logarithm of the depth in metres.

    A ``confident`` one returns ``log_depth``, its ``confidence`` in (0, 1), and ``laplace`` [B, 2, H, W]: location
    and log scale of a Laplace distribution of log_depth. H and W are multiples of 16.
    """

    def __init__(self, width: int, channels: int = 3, *, confident: bool = False) -> None:
        super().__init__()
        pairs = [(a * width, b * width) for a, b in ((1, 2), (2, 4), (4, 6), (6, 8))]
        self.stem = block(channels, width)
        self.down = nn.ModuleList(nn.Sequential(block(a, b, 2), block(b, b)) for a, b in pairs)
        self.up = nn.ModuleList(block(a + b, a) for a, b in pairs)
        self.head = nn.Conv2d(width, 2 if confident else 1, 1)

    def forward(self, *maps: Tensor) -> Tensor | dict[str, Tensor]:
        levels = [self.stem(torch.cat(maps, 1))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in reversed(self.up):
            x = up(torch.cat([levels.pop(), F.interpolate(x, scale_factor=2.0)], 1))
        log_depth, *scale = (self.head(x) + 2).split(1, 1)  # about 7 metres, and a tenth, to begin with
        if not scale:
            return log_depth
        log_scale = 3 * torch.tanh(scale[0] / 3) - 4  # a scale between e^-7 and e^-1 of the depth
        confidence = 1 / (1 + 10 * log_scale.exp())  # 1/2 where it expects to be wrong by a tenth
        return {"log_depth": log_depth, "confidence": confidence, "laplace": torch.cat([log_depth, log_scale], 1)}
