"""Depths of the Lightweight Pose Networks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LPNConfig:
    """What tells one LPN from another.

    Args:
        title: The name in the paper.
        blocks: Lightweight bottlenecks in the four stages.
    """

    title: str
    blocks: tuple[int, int, int, int]


CONFIGS = {"lpn_50": LPNConfig("LPN-50", (3, 4, 6, 3))}

STEM_CHANNELS = 64
STAGES = ((64, 1), (128, 2), (256, 2), (512, 1))
"""Channels and stride of each stage. The last keeps the resolution, which ends at a 16th of the input's."""

DECONVOLUTION_CHANNELS = (256, 256)
