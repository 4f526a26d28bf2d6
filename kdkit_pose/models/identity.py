"""Which HRNet a set of weights belongs to, read from its names and shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from kdkit_pose.models.hrnet_config import CONFIGS, HRNetConfig
from kdkit_pose.models.mask_fusion import ConcatFusion

FIRST_BRANCH = "stage2.0.branches.0.0.conv1.weight"
STEM = "conv1.weight"
HEAD = "final_layer.weight"


@dataclass(frozen=True)
class Identity:
    """What a file's weights say about the network they were saved from.

    Args:
        width: Channels of the highest-resolution branch.
        modules: Exchange modules in stages 2, 3 and 4.
        blocks: Residual blocks a branch.
        num_keypoints: Heatmaps of the head, None without one.
        mask_fusion: `concat` or `add`, which have weights, else `none`; `multiply` leaves no trace.
    """

    width: int
    modules: tuple[int, ...]
    blocks: int
    num_keypoints: int | None
    mask_fusion: str

    @property
    def name(self) -> str | None:
        """The name `create` knows the network by, None when it knows it not."""
        for name, config in CONFIGS.items():
            if self.matches(config):
                return name
        return None

    @property
    def title(self) -> str:
        """How to call the network in a message."""
        if self.name is not None:
            return CONFIGS[self.name].title
        modules = ", ".join(str(count) for count in self.modules)
        return f"HRNet of width {self.width} with {modules} modules in stages 2 to 4, unknown to kdkit"

    def matches(self, config: HRNetConfig) -> bool:
        """Whether the trunk has this configuration's width and depth."""
        return (self.width, self.modules, self.blocks) == (config.width, config.modules, config.blocks)


def identify(tensors: Mapping[str, Tensor]) -> Identity | None:
    """Read the identity from weights under official names; None if they are no HRNet's."""
    kernels = {key: value for key, value in tensors.items() if value.ndim == 4}
    if FIRST_BRANCH not in kernels or STEM not in kernels:
        return None
    fusion = "none"
    if kernels[STEM].shape[1] == 3 + ConcatFusion.extra_channels:
        fusion = "concat"
    elif any(key.startswith("mask_fusion.") for key in tensors):
        fusion = "add"
    return Identity(
        width=len(kernels[FIRST_BRANCH]),
        modules=tuple(_count(tensors, rf"stage{stage}\.(\d+)\.") for stage in (2, 3, 4)),
        blocks=_count(tensors, r"stage2\.0\.branches\.0\.(\d+)\."),
        num_keypoints=len(kernels[HEAD]) if HEAD in kernels else None,
        mask_fusion=fusion,
    )


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers the pattern's group takes among the names."""
    matches = (re.match(pattern, key) for key in tensors)
    return len({match.group(1) for match in matches if match is not None})
