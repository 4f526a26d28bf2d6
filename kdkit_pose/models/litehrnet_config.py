"""Depths of the Lite-HRNets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LiteHRNetConfig:
    """What tells one Lite-HRNet from another; widths are the same in all.

    Args:
        title: The name in the paper.
        modules: Modules in the stages of two, three and four resolutions.
    """

    title: str
    modules: tuple[int, int, int]


CONFIGS = {
    "litehrnet_18": LiteHRNetConfig("Lite-HRNet-18", (2, 4, 2)),
    "litehrnet_30": LiteHRNetConfig("Lite-HRNet-30", (3, 8, 3)),
}

STEM_CHANNELS = 32
CHANNELS = (40, 80, 160, 320)
"""Of the branches, from the highest resolution, a quarter of the input's, to the lowest, a 32nd."""

BLOCKS = 2
"""Conditional channel weightings in a module."""
