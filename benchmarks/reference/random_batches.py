"""Batches of random pose data: what a network takes does not change how long it takes, its shape does."""

import torch
from torch import Tensor

from kdkit import Batch

KEYPOINTS = 17


def random_batches(
    count: int,
    size: int,
    input_size: tuple[int, int],
    *,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
    seed: int = 0,
) -> list[Batch]:
    """Return ``count`` batches of ``size`` samples on a device.

    Args:
        count: how many differing batches.
        size: samples in each, B.
        input_size: the picture's width and height, multiples of 4.
        device: where they are made and stay.
        channels_last: whether image and mask lie with their channels innermost.
        seed: of what is drawn.

    Returns:
        ``image`` [B, 3, H, W], ``mask`` [B, 1, H, W] of zeros and ones, ``heatmap`` [B, 17, H/4, W/4] in [0, 1],
        ``visible`` [B, 17] of zeros and ones, ``id`` and ``view`` [B].
    """
    width, height = input_size
    generator = torch.Generator(device).manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def picture(channels: int) -> Tensor:
        drawn = uniform(size, channels, height, width)
        return drawn.contiguous(memory_format=torch.channels_last) if channels_last else drawn

    return [
        {
            "image": picture(3) * 4 - 2,
            "mask": (picture(1) < 0.3).float(),
            "heatmap": uniform(size, KEYPOINTS, height // 4, width // 4),
            "visible": (uniform(size, KEYPOINTS) < 0.8).float(),
            "id": torch.arange(place * size, (place + 1) * size, device=device),
            "view": torch.zeros(size, dtype=torch.int64, device=device),
        }
        for place in range(count)
    ]
