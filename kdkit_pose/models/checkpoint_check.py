"""Whether a checkpoint was made for the network at hand; if not, for which one it was."""

from kdkit.errors import CheckpointError
from kdkit_pose.models.checkpoint_files import CheckpointFile
from kdkit_pose.models.checkpoint_formats import Weights
from kdkit_pose.models.hrnet import PoseHRNet
from kdkit_pose.models.identity import Identity, identify


def check_fits(network: PoseHRNet, file: CheckpointFile, weights: Weights, trunk_only: bool) -> None:
    """Require the same network, mask fusion and, unless only the trunk is wanted, number of keypoints.

    Raises:
        CheckpointError: It is another network's file. What is wrong is said in words; single entries that do
            not fit are left to the loading itself.
    """
    identity = identify(weights.tensors)
    if identity is None:
        keys = ", ".join(list(weights.tensors)[:5])
        raise CheckpointError(
            f"{file.path} is not an HRNet's: it has entries such as {keys}; give a checkpoint of {network.name}"
        )
    _check_trunk(network, file, identity)
    _check_fusion(network, file, identity)
    if not trunk_only:
        _check_head(network, file, identity)


def _check_trunk(network: PoseHRNet, file: CheckpointFile, identity: Identity) -> None:
    if identity.matches(network.config):
        return
    remedy = f"use models.create({identity.name!r}, ...)" if identity.name else "give another file"
    raise CheckpointError(
        f"{file.path}: this file is {_with_article(identity.title)}, the network built is"
        f" {network.config.title}: {remedy}"
    )


def _check_fusion(network: PoseHRNet, file: CheckpointFile, identity: Identity) -> None:
    found = identity.mask_fusion
    if found == "none":
        found = file.metadata.get("mask_fusion", "none")
    if found in ("none", network.mask_fusion.name):
        return
    built = "reads no mask" if not network.mask_fusion.reads_mask else f"has {network.mask_fusion.name!r}"
    raise CheckpointError(
        f"{file.path}: this file is a mask-aware network's (mask fusion {found!r}), the network built"
        f" {built}: use models.create({network.name!r}, mask_fusion={found!r})"
    )


def _check_head(network: PoseHRNet, file: CheckpointFile, identity: Identity) -> None:
    if identity.num_keypoints is None:
        raise CheckpointError(
            f"{file.path} holds an HRNet without a heatmap head, as for ImageNet; to start training from it,"
            " load it with models.load_checkpoint(model, path, trunk_only=True)"
        )
    if identity.num_keypoints != network.num_keypoints:
        raise CheckpointError(
            f"{file.path}: this file predicts {identity.num_keypoints} keypoints, the network built"
            f" {network.num_keypoints}: use models.create({network.name!r},"
            f" num_keypoints={identity.num_keypoints}), or load it with trunk_only=True and train a new head"
        )


def _with_article(title: str) -> str:
    return f"an {title}" if title.startswith("HRNet") else f"a {title}"
