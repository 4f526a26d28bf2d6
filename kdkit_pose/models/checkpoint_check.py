"""Why a checkpoint does not fit the network at hand, in words that name both."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdkit.errors import CheckpointError
from kdkit_pose.models.checkpoint_files import CheckpointFile
from kdkit_pose.models.checkpoint_formats import Weights
from kdkit_pose.models.identity import Identity
from kdkit_pose.models.network import PoseNetwork

Problem = tuple[str, str]
"""An entry of the network's state dict, and what is wrong with it."""


def check_described_fusion(network: PoseNetwork, file: CheckpointFile) -> None:
    """Require the mask fusion that a kdkit file's header names; `multiply` has no weights that would tell.

    Raises:
        CheckpointError: The header names another one.
    """
    found = file.metadata.get("mask_fusion", "none")
    if found not in ("none", network.mask_fusion.name):
        raise _other_fusion(network, file.path, found)


def described_activation(metadata: Mapping[str, str]) -> str:
    """Return what the heatmaps of a file's network go through; no weights would tell."""
    return metadata.get("activation", "none")


def check_described_activation(network: PoseNetwork, file: CheckpointFile) -> None:
    """Require the activation that a kdkit file's header names, or does not: the heatmaps would be others.

    Raises:
        CheckpointError: The network has another one.
    """
    found = described_activation(file.metadata)
    if "model" in file.metadata and found != network.activation:
        raise CheckpointError(
            f"{file.path}: this file is of a network with the activation {found!r}, the network built has"
            f" {network.activation!r}: use models.create({network.name!r}, activation={found!r}), or load it with"
            " trunk_only=True and train a new head"
        )


def check_described_model(network: PoseNetwork, file: CheckpointFile, identity: Identity | None) -> None:
    """Require the network that a kdkit file's header names, even if the weights fit: they do not tell all.

    A timm model and its `tf_` variant, for instance, have the same entries and pad their inputs differently: the
    heatmaps would be wrong and nothing would show it.

    Raises:
        CheckpointError: The header names another one.
    """
    if "model" in file.metadata and identity is not None and not _same_network(identity.name, network.name):
        raise _other_network(network, file.path, identity)


def misfit(
    network: PoseNetwork,
    path: Path,
    weights: Weights,
    identity: Identity | None,
    problems: Sequence[Problem],
    *,
    only_head: bool,
) -> CheckpointError:
    """Return the error for weights that do not fit: of another network, mask fusion or number of keypoints.

    What is none of these is told entry by entry.

    Args:
        network: The network built.
        path: The file.
        weights: What it holds.
        identity: What these are, None if unknown.
        problems: What does not fit, at least one.
        only_head: Whether all of them lie in the head.
    """
    if identity is None:
        if not _is_nearly(problems, weights):
            return unknown(path, weights, f"give a checkpoint of {network.name}")
    elif not only_head and not _same_network(identity.name, network.name):
        return _other_network(network, path, identity)
    elif identity.mask_fusion not in ("none", network.mask_fusion.name):
        return _other_fusion(network, path, identity.mask_fusion)
    elif only_head and identity.num_keypoints is None:
        return headless(path, identity)
    elif only_head and identity.num_keypoints != network.num_keypoints:
        return CheckpointError(
            f"{path}: this file predicts {identity.num_keypoints} keypoints, the network built"
            f" {network.num_keypoints}: use models.create({network.name!r},"
            f" num_keypoints={identity.num_keypoints}), or load it with trunk_only=True (--pretrained on the"
            " command line) and train a new head"
        )
    return CheckpointError(f"{path} does not fit {network.name}: {_shorten([text for _, text in problems])}")


def unknown(path: Path, weights: Weights, remedy: str) -> CheckpointError:
    """Return the error for weights of no network that kdkit knows."""
    keys = ", ".join(list(weights.keys.values())[:5])
    return CheckpointError(f"{path} is of no network that kdkit knows: it has entries such as {keys}; {remedy}")


def headless(path: Path, identity: Identity) -> CheckpointError:
    """Return the error for weights without a heatmap head where the whole network was wanted."""
    create = f"models.create({identity.name!r})" if identity.name else "a network of the same trunk"
    return CheckpointError(
        f"{path} holds {with_article(identity.title)} without a heatmap head, as for ImageNet; to start training"
        f" from it, give it to the commands as --pretrained, or load it with models.load_checkpoint({create},"
        " path, trunk_only=True)"
    )


def with_article(title: str) -> str:
    """Return `an HRNet-W32`, `a ResNet-50`.

    >>> with_article("HRNet-W32"), with_article("small HRNet-W16"), with_article("LPN-50")
    ('an HRNet-W32', 'a small HRNet-W16', 'an LPN-50')
    """
    spoken_with_a_vowel = title.startswith(("HR", "RT", "LP", "mm", "hr", "lp")) or title[0] in "AEIOaeio"
    return f"an {title}" if spoken_with_a_vowel else f"a {title}"


def _other_network(network: PoseNetwork, path: Path, identity: Identity) -> CheckpointError:
    remedy = f"use models.create({identity.name!r}, ...), or --model" if identity.name else "give another file"
    if identity.unusable is not None:
        remedy = identity.unusable
    return CheckpointError(
        f"{path}: this file is {with_article(identity.title)}, the network built is {network.title}: {remedy}"
    )


def _other_fusion(network: PoseNetwork, path: Path, found: str) -> CheckpointError:
    built = "reads no mask" if not network.mask_fusion.reads_mask else f"has {network.mask_fusion.name!r}"
    return CheckpointError(
        f"{path}: this file is a mask-aware network's (mask fusion {found!r}), the network built"
        f" {built}: use models.create({network.name!r}, mask_fusion={found!r})"
    )


def _same_network(first: str | None, second: str) -> bool:
    """Whether two names are of one network: behind the dot timm says only which weights it would fetch."""
    return first is not None and first.partition(".")[0] == second.partition(".")[0]


def _is_nearly(problems: Sequence[Problem], weights: Weights) -> bool:
    """Whether most weights have a place in the network, so that what is wrong with the rest says more."""
    return len(problems) < len(weights.tensors) / 2


def _shorten(items: list[str], shown: int = 4) -> str:
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} more" if rest > 0 else "")
