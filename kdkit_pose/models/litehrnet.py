"""Lite-HRNet: an HRNet of channel weightings instead of pointwise convolutions."""

from collections.abc import Sequence

from torch import Tensor, nn

from kdkit_pose.models.heatmap_layer import heatmap_layer
from kdkit_pose.models.litehrnet_config import BLOCKS, CHANNELS, STEM_CHANNELS, LiteHRNetConfig
from kdkit_pose.models.litehrnet_modules import ExchangeModule, IterativeHead, Stem, Transition
from kdkit_pose.models.mask_fusion import create_fusion
from kdkit_pose.models.network import PoseNetwork, check_arguments

FEATURES = ("stage0", "stage1", "stage2", "head_layer")


class LiteHRNet(PoseNetwork):
    """Lite-HRNet with a 1x1 convolution to heatmaps on its highest-resolution branch.

    Yu et al., Lite-HRNet: A Lightweight High-Resolution Network, CVPR 2021. The names in the state dict are
    the official repository's (HRNet/Lite-HRNet) and mmpose's, without `backbone.` and with the head as
    `final_layer.`; a mask fusion adds its own under `mask_fusion.`, or a fourth input channel to
    `stem.conv1.conv.weight`. Its files' networks compute the same as here, down to what each sum over
    resolutions counts twice (see `litehrnet_modules.ExchangeModule`).

    Args:
        name: The name the network was created by, kept for its checkpoints.
        config: Depths.
        num_keypoints: Number of heatmaps K, at least 1.
        mask_fusion: `none`, `concat`, `multiply` or `add`.
        features: Any of `stage0`, `stage1`, `stage2`, `head_layer`: what `forward` returns beside the heatmaps.

    Raises:
        ConfigurationError: An unknown fusion or feature, or fewer than one keypoint.
    """

    def __init__(
        self,
        name: str,
        config: LiteHRNetConfig,
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
        self.stem = Stem(STEM_CHANNELS)
        before: Sequence[int] = (STEM_CHANNELS,)
        for index, modules in enumerate(config.modules):
            channels = CHANNELS[: index + 2]
            self.add_module(f"transition{index}", Transition(before, channels))
            stage = nn.Sequential(*(ExchangeModule(channels, BLOCKS) for _ in range(modules)))
            self.add_module(f"stage{index}", stage)
            before = channels
        self.head_layer = IterativeHead(CHANNELS)
        self.final_layer = heatmap_layer(CHANNELS[0], num_keypoints)
        fusion.widen(self.stem.conv1.conv)
        self.mask_fusion = fusion

    @property
    def title(self) -> str:
        """The name in the paper."""
        return self.config.title

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Predict heatmaps.

        Args:
            image: [B,3,H,W], RGB, normalised by ImageNet's mean and standard deviation; H and W in pixels,
                multiples of 32.
            mask: [B,1,H,W] in [0, 1], the person's segmentation aligned with the image; only for a network
                with a mask fusion, and then needed.

        Returns:
            Heatmaps [B,K,H/4,W/4], unbounded but for an `activation`. With `features`, a dict of them as
            `heatmap` and of each named stage's highest-resolution branch, or of what the final convolution
            reads, [B,40,H/4,W/4].

        Raises:
            BatchError: A size that is not a multiple of 32; a mask too many, missing, or of the wrong shape.
        """
        self.check_inputs(image, mask)
        branches = [self._stem(image, mask)]
        outputs: dict[str, Tensor] = {}
        for index in range(len(self.config.modules)):
            branches = self.get_submodule(f"transition{index}")(branches)
            branches = self.get_submodule(f"stage{index}")(branches)
            outputs[f"stage{index}"] = branches[0]
        outputs["head_layer"] = self.head_layer(branches)
        heatmap: Tensor = self.final_layer(outputs["head_layer"])
        if not self.features:
            return heatmap
        return {"heatmap": heatmap} | {feature: outputs[feature] for feature in self.features}

    def _stem(self, image: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            stem: Tensor = self.stem(image)
            return stem
        mask = mask.to(image.dtype)
        features: Tensor = self.stem(self.mask_fusion.fuse_image(image, mask))
        return self.mask_fusion.fuse_features(features, mask)
