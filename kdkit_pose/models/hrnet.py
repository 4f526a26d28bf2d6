"""HRNet for heatmaps: timm's blocks, the official repository's parameter names, and perhaps a mask."""

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from kdkit_pose.models.heatmap_layer import HeatmapLayer
from kdkit_pose.models.hrnet_config import HRNetConfig
from kdkit_pose.models.mask_fusion import create_fusion
from kdkit_pose.models.network import PoseNetwork, check_arguments

FEATURES = ("stage2", "stage3", "stage4")


class PoseHRNet(PoseNetwork):
    """HRNet with a 1x1 convolution to heatmaps on its highest-resolution branch.

    Sun et al., Deep High-Resolution Representation Learning for Human Pose Estimation, CVPR 2019. The names
    in the state dict are the official repository's (leoxiaobin/deep-high-resolution-net.pytorch), one for one;
    a mask fusion adds its own under `mask_fusion.`, or a fourth input channel to `conv1.weight`.

    Args:
        name: The name the network was created by, kept for its checkpoints.
        config: Widths and depths.
        num_keypoints: Number of heatmaps K, at least 1.
        mask_fusion: `none`, `concat`, `multiply` or `add`.
        features: Any of `stage2`, `stage3`, `stage4`: what `forward` returns beside the heatmaps.

    Raises:
        ConfigurationError: An unknown fusion or feature, or fewer than one keypoint.
    """

    conv1: nn.Conv2d
    bn1: nn.Module
    act1: nn.Module
    conv2: nn.Conv2d
    bn2: nn.Module
    act2: nn.Module
    layer1: nn.Sequential
    transition1: nn.ModuleList
    stage2: nn.Sequential
    transition2: nn.ModuleList
    stage3: nn.Sequential
    transition3: nn.ModuleList
    stage4: nn.Sequential

    def __init__(
        self,
        name: str,
        config: HRNetConfig,
        num_keypoints: int,
        mask_fusion: str = "none",
        features: Sequence[str] = (),
    ) -> None:
        check_arguments(num_keypoints, features, FEATURES)
        fusion = create_fusion(mask_fusion, config.stem_channels)
        super().__init__()
        self.name = name
        self.config = config
        self.num_keypoints = num_keypoints
        self.features = tuple(features)
        self.intermediate_heatmaps = {}
        for part, module in _trunk(config).named_children():
            self.add_module(part, module)
        self.final_layer = HeatmapLayer(config.width, num_keypoints)
        self._drop_unread_outputs()
        self._initialise()
        fusion.widen(self.conv1)
        self.mask_fusion = fusion

    @property
    def title(self) -> str:
        """The name in the papers."""
        return self.config.title

    def leaves_unread(self, key: str) -> bool:
        """Whether the key is of stage 4's outputs at lower resolutions, which a classifier's file has."""
        return re.match(rf"stage4\.{self.config.modules[-1] - 1}\.fuse_layers\.[123]\.", key) is not None

    def _drop_unread_outputs(self) -> None:
        """Keep only stage 4's highest-resolution output, as the official pose network does.

        Fuse layers that nothing reads would be parameters without a gradient, which DistributedDataParallel
        refuses.
        """
        last: Any = self.stage4[-1]
        last.fuse_layers = last.fuse_layers[:1]
        last.multi_scale_output = False

    def _initialise(self) -> None:
        """Keep PyTorch's own initialisation, and the head so small that the first heatmaps are about 0.

        It learns faster, above all in narrow networks, than timm's (He et al., 2015), and that faster than the
        official code's normal distribution of deviation 0.001.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
        self.final_layer.start_low()

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Predict heatmaps.

        Args:
            image: [B,3,H,W], RGB, normalised by ImageNet's mean and standard deviation; H and W in pixels,
                multiples of 32.
            mask: [B,1,H,W] in [0, 1], the person's segmentation aligned with the image; only for a network
                with a mask fusion, and then needed.

        Returns:
            Heatmaps [B,K,H/4,W/4], unbounded but for an `activation`. With `features`, a dict of them as
            `heatmap` and of each named stage's highest-resolution branch, [B,width,H/4,W/4].

        Raises:
            BatchError: A size that is not a multiple of 32; a mask too many, missing, or of the wrong shape.
        """
        self.check_inputs(image, mask)
        stages = self._stages(self._stem(image, mask))
        heatmap: Tensor = self.final_layer(stages["stage4"])
        if not self.features:
            return heatmap
        return {"heatmap": heatmap} | {feature: stages[feature] for feature in self.features}

    def _stem(self, image: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return self._convolve(image)
        mask = mask.to(image.dtype)
        features: Tensor = self._convolve(self.mask_fusion.fuse_image(image, mask))
        fused: Tensor = self.mask_fusion.fuse_features(features, mask)
        return fused

    def _convolve(self, image: Tensor) -> Tensor:
        half = self.act1(self.bn1(self.conv1(image)))
        quarter: Tensor = self.act2(self.bn2(self.conv2(half)))
        return quarter

    def _stages(self, stem: Tensor) -> dict[str, Tensor]:
        """Return the highest-resolution branch of stages 2, 3 and 4, by the stage's name."""
        first = self.layer1(stem)
        branches = self.stage2([transition(first) for transition in self.transition1])
        highest = {"stage2": branches[0]}
        for stage, transition in (("stage3", self.transition2), ("stage4", self.transition3)):
            branches = getattr(self, stage)(_add_branch(transition, branches))
            highest[stage] = branches[0]
        return highest


def _trunk(config: HRNetConfig) -> nn.Module:
    """Return timm's HRNet without a head."""
    # Here and not above, as in all of kdkit_pose.models: with timm comes torchvision, and both are slow to import.
    from timm.models.hrnet import HighResolutionNet

    trunk: nn.Module = HighResolutionNet(config.for_timm(), head="")
    channels = config.stem_channels
    if channels != 64:
        # What timm fixes at 64 channels: the second stem convolution and the input of stage 1.
        untyped: Any = trunk
        trunk.conv2 = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1, bias=False)
        trunk.bn2 = nn.BatchNorm2d(channels)
        block = type(untyped.layer1[0])
        layers = config.first_stage_channels, config.first_stage_blocks
        trunk.layer1 = untyped._make_layer(block, channels, *layers)
    return trunk


def _add_branch(transition: nn.ModuleList, branches: list[Tensor]) -> list[Tensor]:
    """Return the branches and one more, of half the resolution of the last."""
    return [
        branches[index] if isinstance(layer, nn.Identity) else layer(branches[-1])
        for index, layer in enumerate(transition)
    ]
