"""Stacked hourglasses, known by their stacks and scales."""

from collections.abc import Mapping

from torch import Tensor

from kdkit_pose.models.hourglass_config import CONFIGS
from kdkit_pose.models.identity import Identity, count_heatmaps, count_numbers, fusion_of, kernel_of

STEM = "conv1.weight"


def identify_hourglass(tensors: Mapping[str, Tensor]) -> Identity | None:
    """Read stacks, widths and depth from stacked hourglasses; None for another network's.

    Names are FPD's official ones or, where kdkit saved them, its own.
    """
    stem = kernel_of(tensors, STEM)
    if stem is None:
        return None
    stacks = count_numbers(tensors, r"(?:hg|hourglasses)\.(\d+)\.")
    if not stacks or not any(key.startswith(("hg.0.hg.", "hourglasses.0.")) for key in tensors):
        return None
    depth = count_numbers(tensors, r"hg\.0\.hg\.(\d+)\.") or _own_depth(tensors)
    blocks = count_numbers(tensors, r"(?:hg\.0\.hg\.0\.0|hourglasses\.0\.skip)\.(\d+)\.")
    name, title = None, f"hourglass of {stacks} stacks with {4 * stem[0]} features, unknown to kdkit"
    for known, config in CONFIGS.items():
        if (stacks, 4 * stem[0], depth, blocks) == (config.stacks, config.channels, config.depth, config.blocks):
            name, title = known, config.title
    heatmaps = count_heatmaps(tensors, "score.0.weight", "heatmaps.0.weight")
    return Identity(name, title, heatmaps, fusion_of(tensors, STEM))


def _own_depth(tensors: Mapping[str, Tensor]) -> int:
    scale, depth = "hourglasses.0.", 0
    while any(key.startswith(f"{scale}skip.") for key in tensors):
        scale, depth = f"{scale}inner.", depth + 1
    return depth
