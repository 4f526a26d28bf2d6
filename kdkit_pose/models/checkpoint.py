"""Loading a checkpoint into a network: all of it or nothing, and a report of what was done."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kdkit.errors import CheckpointError
from kdkit_pose.models.checkpoint_check import check_fits
from kdkit_pose.models.checkpoint_files import open_checkpoint
from kdkit_pose.models.checkpoint_formats import Weights, recognise
from kdkit_pose.models.description import as_pose_network
from kdkit_pose.models.hrnet import PoseHRNet
from kdkit_pose.models.identity import STEM
from kdkit_pose.models.mask_fusion import with_zero_channels

HEAD_PREFIX = "final_layer."
# The heads of HRNet's ImageNet classifiers, in the official repositories and in timm.
OTHER_HEADS = (HEAD_PREFIX, "incre_modules.", "downsamp_modules.", "classifier.", "head.")


@dataclass(frozen=True)
class LoadReport:
    """What `load_checkpoint` did.

    Args:
        path: The file.
        format: The layout it was recognised as.
        loaded: How many entries of the network's state dict came from the file.
        unused: Keys of the file that the network has no place for and does not need.
        fresh: Entries of the network that the file says nothing about: a head left as it was built, or the
            zeros by which a mask fusion starts.
    """

    path: Path
    format: str
    loaded: int
    unused: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.path} ({self.format}): {self.loaded} entries loaded"]
        if self.unused:
            lines.append(f"  not used: {_shorten(self.unused)}")
        if self.fresh:
            lines.append(f"  fresh, not from the file: {_shorten(self.fresh)}")
        return "\n".join(lines)


def load_checkpoint(model: nn.Module, path: str | Path, *, trunk_only: bool = False) -> LoadReport:
    """Load an official, mmpose or kdkit checkpoint; every entry must fit, otherwise nothing is changed.

    Files are read with `weights_only=True`: no code in them runs. See `checkpoint_formats` for the layouts.
    An RGB network's file fits a mask-aware network, whose fusion then starts at zero, that is, equal to it.
    The reverse is refused, as far as it can be told: `multiply` has no weights, so only a kdkit safetensors
    file says that its network read a mask.

    Args:
        model: A network from `create`.
        path: The file.
        trunk_only: Load all but the head, and leave the head as it is: to start from an ImageNet classifier's
            file, or from a pose network of other keypoints.

    Returns:
        What was loaded, what was not used, and what is fresh.

    Raises:
        CheckpointError: The file is missing, damaged, unsafe, or made for another network; the message says
            for which one.
        ConfigurationError: `model` is not from `create`.
    """
    network = as_pose_network(model)
    file = open_checkpoint(path)
    weights = recognise(file)
    check_fits(network, file, weights, trunk_only)
    taken, unused = _take(network, weights, trunk_only)
    filled = _fill(network, taken, trunk_only)
    problems = _problems(network, taken | filled)
    if problems:
        raise CheckpointError(f"{file.path} does not fit {network.name}: {_shorten(problems)}")
    fresh = sorted(filled)
    if taken[STEM].shape != weights.tensors[STEM].shape:
        fresh.append(f"{STEM}[:, 3:] (zero)")
    network.load_state_dict(taken | filled, strict=True)
    return LoadReport(file.path, weights.format, len(taken), (*weights.unused, *unused), tuple(fresh))


def _take(network: PoseHRNet, weights: Weights, trunk_only: bool) -> tuple[dict[str, Tensor], list[str]]:
    """Return the file's entries that the network reads, its stem widened for the mask, and the other keys."""
    taken = {
        key: value
        for key, value in weights.tensors.items()
        if not (trunk_only and key.startswith(OTHER_HEADS)) and not _is_unread_fuse_layer(network, key)
    }
    extra = network.mask_fusion.extra_channels
    if extra and taken[STEM].shape[1] == network.conv1.in_channels - extra:
        taken[STEM] = with_zero_channels(taken[STEM], extra)
    return taken, [key for key in weights.tensors if key not in taken]


def _fill(network: PoseHRNet, taken: dict[str, Tensor], trunk_only: bool) -> dict[str, Tensor]:
    """Return the network's entries that a file may lack, for those that this one lacks."""
    filled: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        if key in taken:
            continue
        if trunk_only and key.startswith(HEAD_PREFIX):
            filled[key] = value
        # Files from before PyTorch 0.4.1 have no counter of batches, which nothing here reads.
        elif key.startswith("mask_fusion.") or key.endswith("num_batches_tracked"):
            filled[key] = torch.zeros_like(value)
    return filled


def _problems(network: PoseHRNet, state: dict[str, Tensor]) -> list[str]:
    """Return in words what keeps the state from being this network's, entry by entry."""
    own = network.state_dict()
    return [
        *(f"{key} has no place in it" for key in state if key not in own),
        *(f"{key} is missing" for key in own if key not in state),
        *(
            f"{key} is {list(value.shape)}, not {list(own[key].shape)}"
            for key, value in state.items()
            if key in own and value.shape != own[key].shape
        ),
    ]


def _is_unread_fuse_layer(network: PoseHRNet, key: str) -> bool:
    """Whether the key belongs to stage 4's outputs at lower resolutions, which no heatmap depends on."""
    last = network.config.modules[-1] - 1
    return re.match(rf"stage4\.{last}\.fuse_layers\.[123]\.", key) is not None


def _shorten(items: list[str] | tuple[str, ...], shown: int = 4) -> str:
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} more" if rest > 0 else "")
