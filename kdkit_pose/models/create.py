"""Building a network by its name."""

from collections.abc import Sequence
from pathlib import Path

from kdkit.errors import ConfigurationError
from kdkit_pose.models.checkpoint import load_checkpoint
from kdkit_pose.models.hrnet import PoseHRNet
from kdkit_pose.models.hrnet_config import CONFIGS
from kdkit_pose.models.network import PoseNetwork


def names() -> tuple[str, ...]:
    """Return the names that `create` knows.

    All but two are HRNets of full depth: `hrnet_w16_small` has the trunk of timm's `hrnet_w18_small`, and
    `hrnet_w8_small`, kdkit's own and unpublished, is that with every channel count halved.
    """
    return tuple(CONFIGS)


def create(
    name: str,
    num_keypoints: int = 17,
    checkpoint: str | Path | None = None,
    mask_fusion: str = "none",
    *,
    features: Sequence[str] = (),
) -> PoseNetwork:
    """Build a network from images to heatmaps.

    Args:
        name: One of `names()`.
        num_keypoints: Number of heatmaps K.
        checkpoint: A file for `load_checkpoint`; without one the weights are random and the first heatmaps
            nearly 0.
        mask_fusion: How the person's mask enters: `none`, `concat`, `multiply` or `add`. Whichever it is, a
            network with an RGB network's weights starts equal to it (`multiply`: for a mask of ones).
        features: Any of `stage2`, `stage3`, `stage4`: forward then returns a dict with `heatmap` and these,
            the highest-resolution branch [B,width,H/4,W/4] behind each stage.

    Returns:
        A network in training mode, image [B,3,H,W] (and mask [B,1,H,W]) to heatmaps [B,K,H/4,W/4].

    Raises:
        ConfigurationError: An unknown name, fusion or feature; fewer than one keypoint.
        CheckpointError: The checkpoint cannot be used; see `load_checkpoint`.
    """
    if name not in CONFIGS:
        raise ConfigurationError(f"no model is called {name!r}; choose one of {', '.join(names())}")
    model = PoseHRNet(name, CONFIGS[name], num_keypoints, mask_fusion, features)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model
