"""LPNs, known by their blocks: a ResNet's, but of depthwise convolutions and global context."""

from collections.abc import Mapping

from torch import Tensor

from kdkit_pose.models.identity import Identity, count_heatmaps, count_numbers, fusion_of, kernel_of, listed
from kdkit_pose.models.lpn_config import CONFIGS

STEM = "conv1.weight"


def identify_lpn(tensors: Mapping[str, Tensor]) -> Identity | None:
    """Read the depth from an LPN's weights, under official names; None for another network's."""
    depthwise = kernel_of(tensors, "layer1.0.conv2.weight")
    context = kernel_of(tensors, "layer1.0.att.conv_mask.weight")
    if depthwise is None or depthwise[1] != 1 or context is None or kernel_of(tensors, STEM) is None:
        return None
    blocks = tuple(count_numbers(tensors, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    name, title = None, f"LPN with {listed(blocks)} blocks in its stages, unknown to kdkit"
    for known, config in CONFIGS.items():
        if blocks == config.blocks:
            name, title = known, config.title
    return Identity(name, title, count_heatmaps(tensors), fusion_of(tensors, STEM))
