"""Stacked hourglasses, whose every stack makes heatmaps."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdkit_pose.models.heatmap_layer import heatmap_layer
from kdkit_pose.models.hourglass_blocks import Hourglass, ResidualBlock, residual_blocks
from kdkit_pose.models.hourglass_config import HourglassConfig
from kdkit_pose.models.mask_fusion import create_fusion
from kdkit_pose.models.network import STRIDE, PoseNetwork, check_arguments


class StackedHourglass(PoseNetwork):
    """Hourglasses one behind the other, on a stem to stride 4; each gets the heatmaps of the one before.

    Newell, Yang and Deng, Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016 (arXiv 1603.06937).
    Widths, also the stem's, are those of FPD's official code (ilovepose/fast-human-pose-estimation.pytorch),
    whose entries of the state dict `own_name` understands.

    `forward` returns the last stack's heatmaps. The others' are to be supervised too, as both papers do, by
    the recipes' `outputs`; see `PoseNetwork.heatmap_outputs`.

    Args:
        name: The name the network was created by, kept for its checkpoints.
        config: Stacks, widths and depths.
        num_keypoints: Number of heatmaps K of every stack, at least 1.
        mask_fusion: `none`, `concat`, `multiply` or `add`.
        features: Any of `stack1`, `stack2` and so on: what `forward` returns beside the heatmaps.

    Raises:
        ConfigurationError: An unknown fusion or feature, or fewer than one keypoint.
    """

    head_prefixes = ("heatmaps.", "from_heatmaps.")

    def __init__(
        self,
        name: str,
        config: HourglassConfig,
        num_keypoints: int,
        mask_fusion: str = "none",
        features: Sequence[str] = (),
    ) -> None:
        super().__init__()
        check_arguments(num_keypoints, features, [f"stack{index + 1}" for index in range(config.stacks)])
        self.name = name
        self.config = config
        self.num_keypoints = num_keypoints
        self.features = tuple(features)
        self.size_multiple = STRIDE * 2**config.depth
        self.intermediate_heatmaps = {f"heatmap_{n + 1}": f"heatmaps.{n}" for n in range(config.stacks - 1)}
        self._build_stem(config.channels)
        self._build_stacks(config)
        fusion = create_fusion(mask_fusion, config.channels)
        fusion.widen(self.conv1)
        self.mask_fusion = fusion

    @property
    def title(self) -> str:
        """How people call the network."""
        return self.config.title

    def own_name(self, key: str) -> str:
        """Return the entry for the official name: `hg.0.hg.3.1.0.conv1.weight` is in `hourglasses.0.down.0`."""
        return _own_name(key, self.config.depth)

    def _build_stem(self, channels: int) -> None:
        self.conv1 = nn.Conv2d(3, channels // 4, kernel_size=7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(channels // 4)
        self.block1 = ResidualBlock(channels // 4, channels // 2)
        self.block2 = ResidualBlock(channels // 2, channels)
        self.block3 = ResidualBlock(channels, channels)

    def _build_stacks(self, config: HourglassConfig) -> None:
        channels, keypoints = config.channels, self.num_keypoints
        stacks, joints = range(config.stacks), range(config.stacks - 1)
        self.hourglasses = nn.ModuleList(Hourglass(config.depth, channels, config.blocks) for _ in stacks)
        self.residuals = nn.ModuleList(residual_blocks(channels, config.blocks) for _ in stacks)
        self.necks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, kernel_size=1), nn.BatchNorm2d(channels), nn.ReLU())
            for _ in stacks
        )
        self.heatmaps = nn.ModuleList(heatmap_layer(channels, keypoints) for _ in stacks)
        self.from_features = nn.ModuleList(nn.Conv2d(channels, channels, kernel_size=1) for _ in joints)
        self.from_heatmaps = nn.ModuleList(nn.Conv2d(keypoints, channels, kernel_size=1) for _ in joints)

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Predict heatmaps.

        Args:
            image: [B,3,H,W], RGB, normalised by ImageNet's mean and standard deviation; H and W in pixels,
                multiples of 64 at depth 4.
            mask: [B,1,H,W] in [0, 1], the person's segmentation aligned with the image; only for a network
                with a mask fusion, and then needed.

        Returns:
            The last stack's heatmaps [B,K,H/4,W/4], unbounded but for an `activation`. With `features`, a dict
            of them as `heatmap` and of the features [B,C,H/4,W/4] from which each named stack's heatmaps are
            made.

        Raises:
            BatchError: A size that is not a multiple of `size_multiple`; a mask too many, missing, or of the
                wrong shape.
        """
        self.check_inputs(image, mask)
        features = self._stem(image, mask)
        made: dict[str, Tensor] = {}
        last = self.config.stacks - 1
        for index in range(self.config.stacks):
            stack: Tensor = self.necks[index](self.residuals[index](self.hourglasses[index](features)))
            made[f"stack{index + 1}"] = stack
            heatmap: Tensor = self.heatmaps[index](stack)
            if index < last:
                features = features + self.from_features[index](stack) + self.from_heatmaps[index](heatmap)
        if not self.features:
            return heatmap
        return {"heatmap": heatmap} | {feature: made[feature] for feature in self.features}

    def _stem(self, image: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return self._convolve(image)
        mask = mask.to(image.dtype)
        return self.mask_fusion.fuse_features(self._convolve(self.mask_fusion.fuse_image(image, mask)), mask)

    def _convolve(self, image: Tensor) -> Tensor:
        half = self.block1(torch.relu(self.bn1(self.conv1(image))))
        quarter: Tensor = self.block3(self.block2(functional.max_pool2d(half, kernel_size=2)))
        return quarter


_OFFICIAL = {
    "res": "residuals",
    "fc": "necks",
    "score": "heatmaps",
    "fc_": "from_features",
    "score_": "from_heatmaps",
}
_PLACES = {"0": "skip", "1": "down", "2": "up", "3": "inner"}


def _own_name(key: str, depth: int) -> str:
    """Translate a name of the official code, which numbers an hourglass's scales from the coarsest, 0."""
    if match := re.fullmatch(r"layer([123])\.0\.(.+)", key):
        key = f"block{match[1]}.{match[2]}"
    elif match := re.fullmatch(r"hg\.(\d+)\.hg\.(\d+)\.([0123])\.(.+)", key):
        scale = "inner." * (depth - 1 - int(match[2]))
        key = f"hourglasses.{match[1]}.{scale}{_PLACES[match[3]]}.{match[4]}"
    elif match := re.fullmatch(r"(res|fc_?|score_?)\.(.+)", key):
        key = f"{_OFFICIAL[match[1]]}.{match[2]}"
    return key.replace(".downsample.0.", ".shortcut.")
