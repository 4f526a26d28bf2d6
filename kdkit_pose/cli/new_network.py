"""The network that a command is to train, from options."""

from pathlib import Path

import torch
from rich.console import Console

from kdkit import ConfigurationError
from kdkit_pose import models
from kdkit_pose.models import Activation, PoseNetwork
from kdkit_pose.skeleton import Skeleton


def new_network(
    name: str,
    skeleton: Skeleton,
    seed: int,
    console: Console,
    *,
    mask_fusion: str = "none",
    activation: Activation = "none",
    checkpoint: Path | None = None,
    pretrained: str | None = None,
) -> PoseNetwork:
    """Build a network, with weights from a file if there is one, and say what was loaded.

    Args:
        name: as ``models.create`` knows it.
        skeleton: what it shall predict.
        seed: of the initial weights.
        console: where to say it.
        mask_fusion: how the mask enters.
        activation: what its heatmaps go through.
        checkpoint: a pose network's weights.
        pretrained: an ImageNet classifier's file, or ``hub``.

    Raises:
        ConfigurationError: if there is no such network, or both kinds of weights are given.
        CheckpointError: if a file does not fit.
    """
    if checkpoint is not None and pretrained is not None:
        raise ConfigurationError("--checkpoint and --pretrained both say where the weights start: leave out one")
    torch.manual_seed(seed)
    network = models.create(name, skeleton.num_keypoints, mask_fusion=mask_fusion, activation=activation)
    if checkpoint is not None:
        console.print(str(models.load_checkpoint(network, checkpoint)), markup=False)
    if pretrained is not None:
        console.print(str(models.load_pretrained(network, pretrained)), markup=False)
    return network
