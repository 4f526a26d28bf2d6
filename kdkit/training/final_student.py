"""Which student a finished run exports."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kdkit.errors import CheckpointError
from kdkit.training.checkpoint import load_checkpoint
from kdkit.training.kept_checkpoints import KeptCheckpoints, Say

_INSTEAD = "last, the best checkpoint was damaged"


def choose_student(
    checkpoints: KeptCheckpoints,
    wanted: Literal["best", "last"],
    last: Mapping[str, Any],
    monitor: str | None,
    say: Say,
) -> tuple[Mapping[str, Any], str]:
    """Return the state dict of the student to export, and in words which one it is.

    Where the best is wanted and its checkpoint is damaged, that one is kept under another name, and the last
    student is taken: hours of training are not lost for one file.

    Args:
        checkpoints: the run's.
        wanted: the ``best`` by the monitored metric, if there is one, or the ``last``.
        last: the last student's state dict.
        monitor: the metric's name.
        say: called with what the user should know.
    """
    best = checkpoints.best
    if wanted == "last":
        return last, "last"
    if not best.exists():
        return last, _INSTEAD if checkpoints.aside(best).exists() else "last"
    try:
        return load_checkpoint(best)["network"], f"best {monitor}"
    except CheckpointError as error:
        say(_told(error, checkpoints.set_aside(best).name))
        return last, _INSTEAD


def _told(error: CheckpointError, aside: str) -> Sequence[str]:
    return [f"{error}; it is kept as '{aside}', and the last student is exported in place of the best"]
