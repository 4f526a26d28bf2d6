"""The file of a finished trial, as a study keeps it."""

import math
from pathlib import Path
from typing import Any

from kdkit.ablation.trial import Trial
from kdkit.errors import RunFolderError
from kdkit.json_files import read_json


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a study's file.

    Raises:
        RunFolderError: if it cannot be read, or holds something else.
    """
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except (OSError, ValueError) as error:
        raise RunFolderError(f"'{path}' of the study cannot be used ({error}): {_REMEDY}") from error
    return content


def read_trial(path: Path, variant: str, seed: int, metric: str) -> dict[str, Any]:
    """Return what a trial's file says, checked to be of this variant and seed and to have the study's metric.

    Raises:
        RunFolderError: if it is not.
    """
    content = read_object(path)
    try:
        found = content.get("variant"), content.get("seed")
        if found != (variant, seed):
            raise ValueError(f"it is of {str(found)[:80]}")
        if not isinstance(content.get("date", ""), str):
            raise ValueError("its date is no text")
        if not math.isfinite(Trial.from_json(content["trial"]).metrics[metric]):
            raise ValueError(f"its {metric} is not finite")
    except KeyError as error:
        raise RunFolderError(f"'{path}' of the study lacks {error}: {_REMEDY}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise RunFolderError(f"'{path}' of the study cannot be used: {error}: {_REMEDY}") from error
    return content


_REMEDY = "restore it, or remove it to train that again"
