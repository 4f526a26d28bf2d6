"""Loading a checkpoint into a network: all of it or nothing, and a report of what was done."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from kdkit_pose import codecs
from kdkit_pose.models.checkpoint_check import (
    Problem,
    check_described_activation,
    check_described_fusion,
    check_described_model,
    misfit,
)
from kdkit_pose.models.checkpoint_files import CheckpointFile, open_checkpoint
from kdkit_pose.models.checkpoint_formats import OPENMMLAB_PART, Weights, find_weights, twice
from kdkit_pose.models.checkpoint_recognition import recognise_weights
from kdkit_pose.models.checkpoint_report import LoadReport
from kdkit_pose.models.description import as_pose_network
from kdkit_pose.models.mask_fusion import with_zero_channels
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.skeleton import Skeleton

__all__ = ["LoadReport", "load_checkpoint"]

# The heads of classifiers and of pose networks, in the official repositories, torchvision and timm.
OTHER_HEADS = (
    *("deconv_layers.", "final_layer.", "incre_modules.", "downsamp_modules."),
    *("classifier.", "head.", "fc."),
)
IMAGE_CHANNELS = 3


def load_checkpoint(model: nn.Module, path: str | Path, *, trunk_only: bool = False) -> LoadReport:
    """Load an official, mmpose or kdkit checkpoint; every entry must fit, otherwise nothing is changed.

    Files are read with `weights_only=True`: no code in them runs. See `checkpoint_formats` for the layouts. An
    RGB network's file fits a mask-aware network, whose fusion then starts at zero, that is, equal to it. The
    reverse is refused, as far as it can be told: `multiply` has no weights, so only a kdkit safetensors file
    says that its network read a mask. A kdkit file fits only the network that its header names, with the same
    activation: another one of the same entries would compute something else with them. The network then knows
    the codec and the keypoints that the file names; with `trunk_only`, which leaves the head as it is, what it
    knew before.

    Args:
        model: A network from `create`.
        path: The file.
        trunk_only: Load all but the head, and leave the head as it is: to start from an ImageNet classifier's
            file, or from a pose network of other keypoints. The trunk may then be another network's, if it fits.

    Returns:
        What was loaded, what was not used, and what is fresh.

    Raises:
        CheckpointError: The file is missing, damaged, unsafe, or made for another network; the message says
            for which one.
        ConfigurationError: `model` is not from `create`, or what the file says of codec or skeleton cannot be
            read.
    """
    network = as_pose_network(model)
    file = open_checkpoint(path)
    return load_weights(network, file, find_weights(file), trunk_only=trunk_only)


def load_weights(
    network: PoseNetwork, file: CheckpointFile, weights: Weights, *, trunk_only: bool = False
) -> LoadReport:
    """As `load_checkpoint`, from a file that is open."""
    found, identity = recognise_weights(file, weights)
    if not trunk_only:
        check_described_model(network, file, identity)
        check_described_activation(network, file)
    check_described_fusion(network, file)
    # Read before anything is changed: what the file says may be broken.
    codec = codecs.from_metadata(found.metadata) if "codec" in found.metadata else None
    skeleton = Skeleton.from_metadata(found.metadata) if "skeleton" in found.metadata else None
    names = _entries(network, file, weights, trunk_only)
    own = network.state_dict()
    taken = {entry: _widened(weights.tensors[name], own.get(entry), network) for entry, name in names.items()}
    filled = _fill(network, taken, trunk_only)
    problems = _problems(own, taken | filled, names)
    if problems:
        only_head = all(_is_head(network, own, entry, names.get(entry, "")) for entry, _ in problems)
        raise misfit(network, file.path, weights, identity, problems, only_head=only_head)
    network.load_state_dict(taken | filled, strict=True)
    if not trunk_only:
        network.codec, network.skeleton = codec, skeleton
        network.keypoints = found.keypoints if skeleton is None else skeleton.keypoints
    used = {weights.keys[name] for name in names.values()}
    widened = [entry for entry, name in names.items() if taken[entry].shape != weights.tensors[name].shape]
    return LoadReport(
        path=file.path,
        format=weights.format,
        loaded=len(taken),
        unused=(*weights.unused, *(key for key in weights.keys.values() if key not in used)),
        fresh=(*sorted(filled), *(f"{entry}[:, {IMAGE_CHANNELS}:] (zero)" for entry in widened)),
        beside=weights.beside,
        used=tuple(used),
    )


def _entries(network: PoseNetwork, file: CheckpointFile, weights: Weights, trunk_only: bool) -> dict[str, str]:
    """Return the network's entries that the file fills, and for each the name of the file's tensor."""
    own = network.state_dict()
    entries: dict[str, str] = {}
    for name in weights.tensors:
        entry = name if name in own else network.own_name(name)
        if not (trunk_only and _is_head(network, own, entry, name)) and not network.leaves_unread(name):
            if entry in entries:
                raise twice(file.path, weights.keys[entries[entry]], weights.keys[name], entry)
            entries[entry] = name
    return entries


def _is_head(network: PoseNetwork, own: Mapping[str, Tensor], entry: str, name: str) -> bool:
    """Whether an entry is of the network's head, or of a head that the network has not, as a classifier's."""
    if entry in own or entry.startswith(network.head_prefixes):
        return entry.startswith(network.head_prefixes)
    return name.startswith(OTHER_HEADS) or OPENMMLAB_PART.match(name) is not None


def _widened(value: Tensor, own: Tensor | None, network: PoseNetwork) -> Tensor:
    """Return the value, with inputs of zero for the mask where it is the network's first convolution."""
    extra = network.mask_fusion.extra_channels
    if own is None or not extra or value.ndim != 4 or value.shape[1] != IMAGE_CHANNELS:
        return value
    return with_zero_channels(value, extra) if own.shape[1] == IMAGE_CHANNELS + extra else value


def _fill(network: PoseNetwork, taken: dict[str, Tensor], trunk_only: bool) -> dict[str, Tensor]:
    """Return the network's entries that a file may lack, for those that this one lacks."""
    filled: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        if key in taken:
            continue
        if trunk_only and key.startswith(network.head_prefixes):
            filled[key] = value
        # Files from before PyTorch 0.4.1 have no counter of batches, which nothing here reads.
        elif key.startswith("mask_fusion.") or key.endswith("num_batches_tracked"):
            filled[key] = torch.zeros_like(value)
    return filled


def _problems(own: dict[str, Tensor], state: dict[str, Tensor], names: Mapping[str, str]) -> list[Problem]:
    """Return in words what keeps the state from being this network's, entry by entry.

    What has no place is called by the name that it has in the file.
    """
    return [
        *((key, f"{names.get(key, key)} has no place in it") for key in state if key not in own),
        *((key, f"{key} is missing") for key in own if key not in state),
        *(
            (key, f"{key} is {list(value.shape)}, not {list(own[key].shape)}")
            for key, value in state.items()
            if key in own and value.shape != own[key].shape
        ),
    ]
