"""The shapes of the HRNets that kdkit builds: names to channel widths and depths."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HRNetConfig:
    """What distinguishes one HRNet from another.

    The network has four branches, of `width`, 2, 4 and 8 times `width` channels, at strides 4, 8, 16 and 32
    (Sun et al., Deep High-Resolution Representation Learning, CVPR 2019, section 3).

    Args:
        title: How people call the network, as in `HRNet-W32`.
        width: Channels of the highest-resolution branch.
        modules: Exchange modules in stages 2, 3 and 4.
        blocks: Residual blocks a branch, in each exchange module.
        stem_channels: Channels of both stem convolutions.
        first_stage_blocks: Bottleneck blocks of stage 1.
        first_stage_channels: Inner channels of these bottlenecks; they put out four times as many.
    """

    title: str
    width: int
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    stem_channels: int = 64
    first_stage_blocks: int = 4
    first_stage_channels: int = 64

    def for_timm(self) -> dict[str, Any]:
        """Return the configuration in the form that `timm.models.hrnet.HighResolutionNet` reads."""
        stages: dict[str, Any] = {
            "stem_width": self.stem_channels,
            "stage1": _stage("BOTTLENECK", 1, (self.first_stage_blocks,), (self.first_stage_channels,)),
        }
        for stage, modules in enumerate(self.modules, start=2):
            channels = tuple(self.width * 2**branch for branch in range(stage))
            stages[f"stage{stage}"] = _stage("BASIC", modules, (self.blocks,) * stage, channels)
        return stages


def _stage(block: str, modules: int, blocks: tuple[int, ...], channels: tuple[int, ...]) -> dict[str, Any]:
    return {
        "num_modules": modules,
        "num_branches": len(channels),
        "block_type": block,
        "num_blocks": blocks,
        "num_channels": channels,
        "fuse_method": "SUM",
    }


CONFIGS: dict[str, HRNetConfig] = {
    "hrnet_w16": HRNetConfig("HRNet-W16", width=16),
    "hrnet_w18": HRNetConfig("HRNet-W18", width=18),
    "hrnet_w32": HRNetConfig("HRNet-W32", width=32),
    "hrnet_w48": HRNetConfig("HRNet-W48", width=48),
    # The trunk of timm's hrnet_w18_small, which has 16 channels in spite of its name. Lite-HRNet's "Small
    # HRNet-W16" is another network.
    "hrnet_w16_small": HRNetConfig(
        "small HRNet-W16",
        width=16,
        modules=(1, 1, 1),
        blocks=2,
        first_stage_blocks=1,
        first_stage_channels=32,
    ),
    # kdkit's own, not published networks: hrnet_w16_small with narrower branches. 12 channels are the demo's
    # student. 8, with stem and first stage halved too, are for tests and trials: that few channels cannot span
    # 17 heatmaps.
    "hrnet_w12_small": HRNetConfig(
        "small HRNet-W12",
        width=12,
        modules=(1, 1, 1),
        blocks=2,
        first_stage_blocks=1,
        first_stage_channels=32,
    ),
    "hrnet_w8_small": HRNetConfig(
        "small HRNet-W8",
        width=8,
        modules=(1, 1, 1),
        blocks=2,
        stem_channels=32,
        first_stage_blocks=1,
        first_stage_channels=16,
    ),
}
