"""The stacked hourglasses that kdkit builds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HourglassConfig:
    """What distinguishes one stacked hourglass from another.

    Args:
        title: How people call the network.
        stacks: Hourglasses one behind the other, each with heatmaps of its own.
        channels: Of all features in them; a multiple of 4.
        blocks: Residual blocks at every place of an hourglass that has some.
        depth: How often an hourglass halves the resolution.
    """

    title: str
    stacks: int = 4
    channels: int = 128
    blocks: int = 1
    depth: int = 4


# The student of FPD (arXiv 1811.05419, section 3.1): half the stacks and half the channels of the original.
CONFIGS = {"hourglass4_128": HourglassConfig("4-stage Hourglass")}
