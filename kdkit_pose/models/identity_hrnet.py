"""HRNets, known by their branches."""

from collections.abc import Mapping

from torch import Tensor

from kdkit_pose.models.hrnet_config import CONFIGS
from kdkit_pose.models.identity import Identity, count_heatmaps, count_numbers, fusion_of, kernel_of, listed

STEM = "conv1.weight"


def identify_hrnet(tensors: Mapping[str, Tensor]) -> Identity | None:
    """Read width and depth from an HRNet's weights, under official names; None for another network's."""
    branch = kernel_of(tensors, "stage2.0.branches.0.0.conv1.weight")
    if branch is None or kernel_of(tensors, STEM) is None:
        return None
    modules = tuple(count_numbers(tensors, rf"stage{stage}\.(\d+)\.") for stage in (2, 3, 4))
    found = branch[0], modules, count_numbers(tensors, r"stage2\.0\.branches\.0\.(\d+)\.")
    name, title = (
        None,
        f"HRNet of width {branch[0]} with {listed(modules)} modules in stages 2 to 4, unknown to kdkit",
    )
    for known, config in CONFIGS.items():
        if found == (config.width, config.modules, config.blocks):
            name, title = known, config.title
    return Identity(name, title, count_heatmaps(tensors), fusion_of(tensors, STEM))
