"""LPN: a SimpleBaseline of lightweight bottlenecks and grouped deconvolutions."""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdkit_pose.models.heatmap_layer import heatmap_layer
from kdkit_pose.models.lpn_blocks import LightweightBottleneck
from kdkit_pose.models.lpn_config import DECONVOLUTION_CHANNELS, STAGES, STEM_CHANNELS, LPNConfig
from kdkit_pose.models.mask_fusion import create_fusion
from kdkit_pose.models.network import PoseNetwork, check_arguments

FEATURES = ("layer1", "layer2", "layer3", "layer4", "deconv_layers")


class PoseLPN(PoseNetwork):
    """The Lightweight Pose Network: a ResNet's layout of lightweight bottlenecks, and two deconvolutions.

    Zhang et al., Simple and Lightweight Human Pose Estimation, 2019 (arXiv 1911.10346). The names in the
    state dict are the official repository's (zhang943/lpn-pytorch); a mask fusion adds its own under
    `mask_fusion.`, or a fourth input channel to `conv1.weight`.

    Args:
        name: The name the network was created by, kept for its checkpoints.
        config: Depths.
        num_keypoints: Number of heatmaps K, at least 1.
        mask_fusion: `none`, `concat`, `multiply` or `add`.
        features: Any of `layer1` to `layer4` and `deconv_layers`: what `forward` returns beside the heatmaps.

    Raises:
        ConfigurationError: An unknown fusion or feature, or fewer than one keypoint.
    """

    head_prefixes = ("deconv_layers.", "final_layer.")
    size_multiple = 16

    def __init__(
        self,
        name: str,
        config: LPNConfig,
        num_keypoints: int,
        mask_fusion: str = "none",
        features: Sequence[str] = (),
    ) -> None:
        check_arguments(num_keypoints, features, FEATURES)
        fusion = create_fusion(mask_fusion, STEM_CHANNELS)
        super().__init__()
        self.name = name
        self.config = config
        self.num_keypoints = num_keypoints
        self.features = tuple(features)
        self.intermediate_heatmaps = {}
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        channels = STEM_CHANNELS
        for index, ((width, stride), depth) in enumerate(zip(STAGES, config.blocks, strict=True)):
            self.add_module(f"layer{index + 1}", _stage(channels, width, stride, depth))
            channels = width
        self.deconv_layers = _deconvolutions(channels, DECONVOLUTION_CHANNELS)
        self.final_layer = heatmap_layer(DECONVOLUTION_CHANNELS[-1], num_keypoints)
        fusion.widen(self.conv1)
        self.mask_fusion = fusion

    @property
    def title(self) -> str:
        """The name in the paper."""
        return self.config.title

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Predict heatmaps.

        Args:
            image: [B,3,H,W], RGB, normalised by ImageNet's mean and standard deviation; H and W in pixels,
                multiples of 16.
            mask: [B,1,H,W] in [0, 1], the person's segmentation aligned with the image; only for a network
                with a mask fusion, and then needed.

        Returns:
            Heatmaps [B,K,H/4,W/4], unbounded but for an `activation`. With `features`, a dict of them as
            `heatmap` and of what each named part returns: `layer1` [B,64,H/4,W/4], `layer2` [B,128,H/8,W/8],
            `layer3` [B,256,H/16,W/16], `layer4` [B,512,H/16,W/16], `deconv_layers` [B,256,H/4,W/4].

        Raises:
            BatchError: A size that is not a multiple of 16; a mask too many, missing, or of the wrong shape.
        """
        self.check_inputs(image, mask)
        outputs: dict[str, Tensor] = {}
        current = self._stem(image, mask)
        for part in FEATURES:
            current = outputs[part] = self.get_submodule(part)(current)
        heatmap: Tensor = self.final_layer(current)
        if not self.features:
            return heatmap
        return {"heatmap": heatmap} | {feature: outputs[feature] for feature in self.features}

    def _stem(self, image: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return self._convolve(image)
        mask = mask.to(image.dtype)
        features = self._convolve(self.mask_fusion.fuse_image(image, mask))
        return self.mask_fusion.fuse_features(features, mask)

    def _convolve(self, image: Tensor) -> Tensor:
        half = torch.relu(self.bn1(self.conv1(image)))
        return functional.max_pool2d(half, kernel_size=3, stride=2, padding=1)


def _stage(in_channels: int, out_channels: int, stride: int, depth: int) -> nn.Sequential:
    first = LightweightBottleneck(in_channels, out_channels, stride)
    rest = (LightweightBottleneck(out_channels, out_channels, stride=1) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


def _deconvolutions(in_channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Return upsamplings by 2, each a deconvolution in as many groups as can be and a pointwise convolution."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [
            nn.ConvTranspose2d(in_channels, width, 4, 2, 1, groups=gcd(in_channels, width), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, kernel_size=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        in_channels = width
    return nn.Sequential(*layers)
