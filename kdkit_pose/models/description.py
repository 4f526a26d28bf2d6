"""What must be known of a network to build it again."""

from torch import nn

from kdkit.errors import ConfigurationError
from kdkit_pose.models.network import PoseNetwork

DESCRIPTION = ("model", "num_keypoints", "mask_fusion", "activation")
"""The names in a network's description."""


def describe(model: nn.Module) -> dict[str, str]:
    """Return the metadata from which `load` rebuilds the network; the header of its safetensors files.

    Features that `forward` returns beside the heatmaps are the caller's choice and left out. The `activation` is
    named where there is one.

    Raises:
        ConfigurationError: The module was not built by `create`.

    >>> from kdkit_pose import models
    >>> models.describe(models.create("hrnet_w8_small"))
    {'model': 'hrnet_w8_small', 'num_keypoints': '17', 'mask_fusion': 'none'}
    """
    network = as_pose_network(model)
    return {
        "model": network.name,
        "num_keypoints": str(network.num_keypoints),
        "mask_fusion": str(network.mask_fusion.name),
        # Absent where there is none, as in the files and runs of before.
        **({} if network.activation == "none" else {"activation": network.activation}),
    }


def as_pose_network(model: nn.Module) -> PoseNetwork:
    """Return the module typed as what `create` builds, or raise a ConfigurationError."""
    if isinstance(model, PoseNetwork):
        return model
    raise ConfigurationError(
        f"the module is a {type(model).__name__}, but a network from models.create is needed; of a compiled"
        " or distributed one, give the network inside it"
    )
