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
    stages: Sequence[str],
    say: Say,
) -> tuple[Mapping[str, Any], str]:
    """Return the state dict of the student to export, and in words which one it is.

    Where the best was found before the last stage, the user is told: it never learned from what came later. Where
    the best is wanted and its checkpoint is damaged, that one is kept under another name, and the last
    student is taken: hours of training are not lost for one file.

    Args:
        checkpoints: the run's.
        wanted: the ``best`` by the monitored metric, if there is one, or the ``last``.
        last: the last student's state dict.
        monitor: the metric's name.
        stages: the curriculum's, by name.
        say: called with what the user should know.
    """
    best = checkpoints.best
    if wanted == "last":
        return last, "last"
    if not best.exists():
        return last, _INSTEAD if checkpoints.aside(best).exists() else "last"
    try:
        found = load_checkpoint(best)
    except CheckpointError as error:
        say(_told(error, checkpoints.set_aside(best).name))
        return last, _INSTEAD
    epoch, stage = found["distiller"]["curriculum"]["epochs"], found["last_step"]["stage"]
    selected = f"best {monitor}, of epoch {epoch}, stage {stage}"
    if stage != stages[-1]:
        say(
            [
                f"exported: {selected}. It never learned from the later stages, which end with '{stages[-1]}': "
                f"export='last' (--export last) takes the student that did"
            ]
        )
    return found["network"], selected


def _told(error: CheckpointError, aside: str) -> Sequence[str]:
    return [f"{error}; it is kept as '{aside}', and the last student is exported in place of the best"]
