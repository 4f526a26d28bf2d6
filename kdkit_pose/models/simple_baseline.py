"""SimpleBaseline: a classifier's trunk and a few deconvolutions, on any backbone of timm."""

from collections.abc import Sequence
from math import log2

from torch import Tensor, nn

from kdkit.errors import ConfigurationError
from kdkit_pose.models.heatmap_layer import heatmap_layer
from kdkit_pose.models.mask_fusion import create_fusion
from kdkit_pose.models.network import STRIDE, PoseNetwork
from kdkit_pose.models.simple_baseline_config import SimpleBaselineConfig
from kdkit_pose.models.timm_backbone import BackboneInfo, build_backbone, image_convolutions, inspect_backbone

FUSIONS = ("none", "concat", "multiply")


class SimpleBaseline(PoseNetwork):
    """A backbone of timm, deconvolutions up to stride 4, and a 1x1 convolution to heatmaps.

    Xiao, Wu and Wei, Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018 (arXiv 1804.06208,
    section 2). On ResNets the entries of the state dict are the official repository's
    (microsoft/human-pose-estimation.pytorch), those of the trunk below `backbone.`; see `own_name`.

    The backbone ends with the last features that timm names at its coarsest stride. Of MobileNetV2 and
    EfficientNet these are the 320 channels before the classifier's 1280, which mmpose's networks of the same
    name go through.

    Args:
        name: The name the network was created by, kept for its checkpoints.
        config: The backbone and the head's width.
        num_keypoints: Number of heatmaps K, at least 1.
        mask_fusion: `none`, `concat` or `multiply`.
        features: Any of `stride2`, `stride4`, `stride8`, `stride16` and `stride32` that the backbone has: what
            `forward` returns beside the heatmaps.

    Raises:
        ConfigurationError: An unknown fusion or feature; fewer than one keypoint; a backbone that has no
            feature maps, reads pictures of one size only, or ends at a stride that no deconvolutions by 2
            bring to 4.
    """

    head_prefixes = ("deconv_layers.", "final_layer.")

    def __init__(
        self,
        name: str,
        config: SimpleBaselineConfig,
        num_keypoints: int,
        mask_fusion: str = "none",
        features: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if num_keypoints < 1:
            raise ConfigurationError(f"num_keypoints is {num_keypoints}; a network predicts at least 1 keypoint")
        info = inspect_backbone(config.backbone, config.output_stride)
        strides = _strides_of(features, info, name)
        self.name = name
        self.config = config
        self.num_keypoints = num_keypoints
        self.features = tuple(features)
        self.intermediate_heatmaps = {}
        # Ordered as the backbone computes them, the last of all last.
        self._strides = sorted({*strides, info.stride})
        indices = tuple(info.indices[stride] for stride in self._strides)
        self.backbone = build_backbone(config.backbone, config.output_stride, indices)
        # DistributedDataParallel refuses trainable parameters without a gradient.
        for path in info.unread:
            self.backbone.get_parameter(path).requires_grad_(False)
        self.deconv_layers = _deconvolutions(info, config.channels, name)
        self.final_layer = heatmap_layer(config.channels, num_keypoints)
        self._add_fusion(mask_fusion)

    @property
    def title(self) -> str:
        """How people call the network."""
        return self.config.title

    def own_name(self, key: str) -> str:
        """Return the entry for an official or a classifier's name: `conv1.weight` is `backbone.conv1.weight`."""
        own = ("backbone.", "mask_fusion.", *self.head_prefixes)
        return key if key.startswith(own) else f"backbone.{key}"

    def _add_fusion(self, mask_fusion: str) -> None:
        fusion = create_fusion(mask_fusion, stem_channels=1)
        if fusion.name not in FUSIONS:
            raise ConfigurationError(
                f"{self.name} has no mask fusion {mask_fusion!r}, since timm's backbones have no place for it in"
                f" common; choose one of {', '.join(FUSIONS)}"
            )
        if fusion.extra_channels:
            for convolution in image_convolutions(self.backbone, self.config.backbone):
                fusion.widen(convolution)
        self.mask_fusion = fusion

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Predict heatmaps.

        Args:
            image: [B,3,H,W], RGB, normalised by ImageNet's mean and standard deviation; H and W in pixels,
                multiples of 32.
            mask: [B,1,H,W] in [0, 1], the person's segmentation aligned with the image; only for a network
                with a mask fusion, and then needed.

        Returns:
            Heatmaps [B,K,H/4,W/4], unbounded but for an `activation`. With `features`, a dict of them as
            `heatmap` and of each named feature map, [B,C,H/s,W/s] for `stride<s>`.

        Raises:
            BatchError: A size that is not a multiple of 32; a mask too many, missing, or of the wrong shape.
        """
        self.check_inputs(image, mask)
        if mask is not None:
            image = self.mask_fusion.fuse_image(image, mask.to(image.dtype))
        maps: list[Tensor] = self.backbone(image)
        heatmap: Tensor = self.final_layer(self.deconv_layers(maps[-1]))
        if not self.features:
            return heatmap
        named = {f"stride{stride}": value for stride, value in zip(self._strides, maps, strict=True)}
        return {"heatmap": heatmap} | {feature: named[feature] for feature in self.features}


def _strides_of(features: Sequence[str], info: BackboneInfo, name: str) -> list[int]:
    known = {f"stride{stride}": stride for stride in info.indices}
    for feature in features:
        if feature not in known:
            raise ConfigurationError(
                f"{name} has no feature {feature!r}; choose from {', '.join(known)}, or name any submodule in"
                f" kdkit.Student(network, features={{...}})"
            )
    return [known[feature] for feature in features]


def _deconvolutions(info: BackboneInfo, channels: int, name: str) -> nn.Sequential:
    """Return as many deconvolutions as double the backbone's resolution up to the heatmaps'."""
    count = log2(info.stride / STRIDE)
    if count != int(count) or not 1 <= count <= log2(PoseNetwork.size_multiple / STRIDE):
        raise ConfigurationError(
            f"{name}: its backbone ends at stride {info.stride}; deconvolutions bring 8, 16 or 32 to {STRIDE},"
            f" so take another backbone"
        )
    layers: list[nn.Module] = []
    for index in range(int(count)):
        inputs = channels if index else info.channels
        layers += [
            nn.ConvTranspose2d(inputs, channels, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
