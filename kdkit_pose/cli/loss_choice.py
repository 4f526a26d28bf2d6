"""What a network learns by, from options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdkit import ConfigurationError, losses
from kdkit.objective import Loss
from kdkit_pose import models
from kdkit_pose.models import Activation


class LossName(StrEnum):
    """The losses that the commands know."""

    bce = "bce"
    mse = "mse"

    @property
    def function(self) -> Loss:
        """The loss itself."""
        return losses.bce if self is LossName.bce else losses.mse

    @property
    def activation(self) -> Activation:
        """What heatmaps that are learned by it go through."""
        return "sigmoid" if self is LossName.bce else "none"

    def said(self, checkpoint: Path | None) -> str:
        """Return it in words, and why, where that is the network that was learned before."""
        words = "bce, behind a sigmoid" if self is LossName.bce else "mse"
        return words if checkpoint is None else f"{words}, as '{checkpoint}' did"

    def to_config(self) -> dict[str, str]:
        """Return what names a run: nothing for squared error, as in the runs of before there was another."""
        return {} if self is LossName.mse else {"loss": self.value}


LossOption = Annotated[
    LossName | None,
    typer.Option(
        "--loss",
        help="bce: discs, by binary cross-entropy behind a sigmoid; mse: Gaussians, by squared error, as "
        "published figures were made. By default what --checkpoint's network learned; else bce.",
    ),
]


def loss_for(asked: LossName | None, checkpoint: Path | None) -> LossName:
    """Return what a network is to learn by: as asked for, else as the one did whose weights it starts from.

    Args:
        asked: the option.
        checkpoint: the weights that it starts from.

    Raises:
        CheckpointError: if the file cannot be read.
        ConfigurationError: if its last layer is made for the other loss.
    """
    if checkpoint is None:
        return asked or LossName.bce
    learned = LossName.bce if models.recognise(checkpoint).activation == "sigmoid" else LossName.mse
    if asked not in (None, learned):
        ends = "ends with a sigmoid" if learned is LossName.bce else "ends without a sigmoid"
        raise ConfigurationError(
            f"--loss {asked} does not fit --checkpoint '{checkpoint}', whose network {ends}: leave out --loss, to "
            f"go on by {learned}, or give the file as --pretrained, which takes all of it but the last layer"
        )
    return learned
