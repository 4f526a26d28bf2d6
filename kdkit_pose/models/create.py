"""Building a network by its name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kdkit.errors import ConfigurationError
from kdkit_pose.models import (
    hourglass_config,
    hrnet_config,
    litehrnet_config,
    lpn_config,
    simple_baseline_config,
)
from kdkit_pose.models.checkpoint import load_checkpoint
from kdkit_pose.models.hourglass import StackedHourglass
from kdkit_pose.models.hrnet import PoseHRNet
from kdkit_pose.models.litehrnet import LiteHRNet
from kdkit_pose.models.lpn import PoseLPN
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.models.simple_baseline import SimpleBaseline


class _Family(NamedTuple):
    """A class of networks, called as `(name, config, num_keypoints, mask_fusion, features)`."""

    build: Any
    configs: Mapping[str, Any]


_FAMILIES = (
    _Family(PoseHRNet, hrnet_config.CONFIGS),
    _Family(SimpleBaseline, simple_baseline_config.CONFIGS),
    _Family(StackedHourglass, hourglass_config.CONFIGS),
    _Family(PoseLPN, lpn_config.CONFIGS),
    _Family(LiteHRNet, litehrnet_config.CONFIGS),
)


def names() -> tuple[str, ...]:
    """Return the names that `create` knows and that are tested.

    All but two of the HRNets are of full depth: `hrnet_w16_small` has the trunk of timm's `hrnet_w18_small`,
    and `hrnet_w8_small`, kdkit's own and unpublished, is that with every channel count halved. Beside these,
    `simplebaseline_` before the name of almost any convolutional model of timm names a network.
    """
    return tuple(name for family in _FAMILIES for name in family.configs)


def create(
    name: str,
    num_keypoints: int = 17,
    checkpoint: str | Path | None = None,
    mask_fusion: str = "none",
    *,
    features: Sequence[str] = (),
    activation: str = "none",
) -> PoseNetwork:
    """Build a network from images to heatmaps.

    Args:
        name: One of `names()`, or `simplebaseline_<timm name>`.
        num_keypoints: Number of heatmaps K.
        checkpoint: A file for `load_checkpoint`; without one the weights are random and the first heatmaps
            nearly 0.
        mask_fusion: How the person's mask enters: `none`, `concat`, `multiply` or, but in a SimpleBaseline,
            `add`. Whichever it is, a network with an RGB network's weights starts equal to it (`multiply`: for a
            mask of ones).
        features: What `forward` returns in a dict beside `heatmap`. HRNet has `stage2`, `stage3` and `stage4`,
            the highest-resolution branch [B,width,H/4,W/4] behind each stage; a SimpleBaseline has `stride8`
            and the like, its backbone's last features of that stride; LPN has `layer1` to `layer4` and
            `deconv_layers`, Lite-HRNet `stage0`, `stage1`, `stage2` and `head_layer`; an hourglass `stack1`
            and so on, what each stack makes its heatmaps of.
        activation: What the heatmaps go through. With `sigmoid` they are probabilities, as `kdkit.losses.bce`
            learns them, and start at 0.01 everywhere, since peaks are rare. Published files are of networks
            without; a file of kdkit's own says it, and only fits a network with the same.

    Returns:
        A network in training mode, image [B,3,H,W] (and mask [B,1,H,W]) to heatmaps [B,K,H/4,W/4].

    Raises:
        ConfigurationError: An unknown name, fusion, feature or activation, or one that the network has not; fewer
            than one keypoint.
        CheckpointError: The checkpoint cannot be used; see `load_checkpoint`.
    """
    family, config = _find(name)
    model: PoseNetwork = family.build(name, config, num_keypoints, mask_fusion, features)
    if activation != "none":
        model.activate(activation)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model


def _find(name: str) -> tuple[_Family, Any]:
    for family in _FAMILIES:
        if name in family.configs:
            return family, family.configs[name]
    config = simple_baseline_config.config_for(name)
    if config is None:
        raise ConfigurationError(
            f"no model is called {name!r}; choose one of {', '.join(names())}, or"
            f" {simple_baseline_config.PREFIX}<name of a timm model>"
        )
    return _Family(SimpleBaseline, {}), config
