"""Lite-HRNets, known by their modules."""

from collections.abc import Mapping

from torch import Tensor

from kdkit_pose.models.identity import Identity, count_heatmaps, count_numbers, fusion_of, kernel_of, listed
from kdkit_pose.models.litehrnet_config import CONFIGS

STEM = "stem.conv1.conv.weight"
WEIGHTING = "stage0.0.layers.0.cross_resolution_weighting.conv1.conv.weight"


def identify_litehrnet(tensors: Mapping[str, Tensor]) -> Identity | None:
    """Read the depth from a Lite-HRNet's weights, under official names; None for another network's.

    The paper's naive variant, of ShuffleNet's blocks, has the layout but no channel weighting.
    """
    if kernel_of(tensors, STEM) is None or not any(key.startswith("stage0.0.layers.") for key in tensors):
        return None
    modules = tuple(count_numbers(tensors, rf"stage{stage}\.(\d+)\.") for stage in (0, 1, 2))
    name, title = None, f"Lite-HRNet with {listed(modules)} modules in its stages, unknown to kdkit"
    if kernel_of(tensors, WEIGHTING) is None:
        title = "naive Lite-HRNet, unknown to kdkit"
    else:
        for known, config in CONFIGS.items():
            if modules == config.modules:
                name, title = known, config.title
    return Identity(name, title, count_heatmaps(tensors), fusion_of(tensors, STEM))
