"""Which network a set of weights belongs to, read from its names and shapes."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from kdkit_pose.models.identity import Identity
from kdkit_pose.models.identity_foreign import identify_foreign
from kdkit_pose.models.identity_hourglass import identify_hourglass
from kdkit_pose.models.identity_hrnet import identify_hrnet
from kdkit_pose.models.identity_litehrnet import identify_litehrnet
from kdkit_pose.models.identity_lpn import identify_lpn
from kdkit_pose.models.identity_resnet import identify_resnet

# LPN and hourglasses before ResNet: LPN has its layout, and an official hourglass has `layer1` to `layer3` too.
FAMILIES = (identify_hrnet, identify_litehrnet, identify_lpn, identify_hourglass, identify_resnet)

_MASK_PREDICTOR = Identity(
    None,
    "person-mask predictor",
    unusable="it finds no keypoints; kdkit-pose predict-masks makes masks with it, which the commands take as"
    " --predicted-masks",
)


def identify(tensors: Mapping[str, Tensor], keys: Iterable[str] = ()) -> Identity | None:
    """Read the identity from names and shapes.

    Args:
        tensors: Weights under the names of the networks' official code.
        keys: All names in the file, those of other parts too: what is not kdkit's is known by them.

    Returns:
        None for weights of no known network.
    """
    foreign = identify_foreign((*keys, *tensors))
    return foreign or next((found for family in FAMILIES if (found := family(tensors)) is not None), None)


def identify_described(
    metadata: Mapping[str, str], tensors: Mapping[str, Tensor], keys: Iterable[str] = ()
) -> Identity | None:
    """Read the identity from a kdkit file's header, else from the weights."""
    if "mask_predictor" in metadata:
        return _MASK_PREDICTOR
    found = identify(tensors, keys)
    name = metadata.get("model")
    if name is None:
        return found
    heatmaps = metadata.get("num_keypoints", "")
    return Identity(
        name,
        found.title if found is not None and found.name == name else name,
        int(heatmaps) if heatmaps.isdecimal() and len(heatmaps) < 10 else None,
        metadata.get("mask_fusion", "none"),
    )
