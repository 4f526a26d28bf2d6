"""Checkpoints: one file with all that a run needs to go on."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kdkit.errors import CheckpointError
from kdkit.files import write_atomically

FORMAT = 2


def save_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write a run's state atomically.

    Args:
        state: tensors, numbers, strings, tuples, lists and dictionaries of them, nothing else.
        path: the file to write.
    """
    write_atomically(path, lambda file: torch.save({"format": FORMAT, **state}, file))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a run's state, on the CPU; code pickled in the file is never executed.

    Raises:
        CheckpointError: if the file is damaged, unsafe or of another format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint '{path}' cannot be read ({str(error).splitlines()[0]}): it is damaged, or not "
            f"kdkit's; restore it, or start anew in another folder"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"the file '{path}' is no checkpoint of a run (format {FORMAT} expected)")
    return state
