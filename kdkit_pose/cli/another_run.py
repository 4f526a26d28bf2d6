"""A run folder that holds another run, told in the command line's words."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kdkit import RunFolderError

_TEACHER = r"(?:config\.teachers|teacher_weights)\.(\w+)[.\[].*"
_CACHE = r"config\.caches\.(\w+)\..*"
_OPTIONS = {
    r"config\.codec\.codec": "--codec",
    r"config\.codec\.codec_input_size": "--input-size",
    r"config\.codec\.codec_sigma": "--sigma",
    r"config\.model\.mask_predictor": "--architecture",
    r"config\.model\.(mask_fusion|encoder|input_size|threshold)": r"--\1",
    r"config\.((?:val_)?predicted_masks|checkpoint|pretrained|encoder_weights)(?:\..*)?": r"--\1",
    r"config\.(?!(?:warmup_steps|clip_norm)$)(\w+)": r"--\1",
    r"trainer\.(evaluate_every|export|precision|ema)": r"--\1",
}
"""Names of settings and the options that give them."""
_DATA = {
    "config.data": "training",
    "config.pictures": "training",
    "config.val_data": "validation",
    "config.validation": "validation",
    "config.val_pictures": "validation",
}


@contextmanager
def options_named(out: Path, network: str) -> Iterator[None]:
    """Say of another run in a folder in which options it differs, instead of in which of its settings.

    Args:
        out: the run's folder.
        network: the option that names the network.

    Raises:
        RunFolderError: the same that was raised within, in other words.
    """
    try:
        yield
    except RunFolderError as error:
        told = _told(error.differences, network)
        if not told:
            raise
        raise RunFolderError(
            f"the output folder '{out}' holds another run, which differs in {', '.join(told)}: give another "
            "folder, or start with that run's options to go on with it",
            error.differences,
        ) from error


def _told(differences: Mapping[str, tuple[str, str]], network: str) -> list[str]:
    """Each option and kind of data that differs, once; what follows from them, a curriculum say, is left out."""
    told: dict[str, str] = {}
    for key, values in differences.items():
        if key in _DATA:
            told.setdefault(_DATA[key], f"the {_DATA[key]} data")
        elif teacher := re.fullmatch(_TEACHER, key):
            told.setdefault(f"--{teacher[1]}", f"--{teacher[1]} (another file)")
        elif cache := re.fullmatch(_CACHE, key):
            told.setdefault(f"--{cache[1]}-cache", f"--{cache[1]}-cache (another cache, or none)")
        elif option := _option(key, network):
            there, now = (_as_given(option, value) for value in values)
            told.setdefault(option, f"{option} (there {there}, now {now})")
    return list(told.values())


def _option(key: str, network: str) -> str | None:
    if key == "config.model.model":
        return network
    for pattern, option in _OPTIONS.items():
        if found := re.fullmatch(pattern, key):
            return found.expand(option).replace("_", "-")
    return None


def _as_given(option: str, value: str) -> str:
    """A value as the option takes it, from JSON; a size is width x height there, and height x width here."""
    text = value.strip('"')
    if option == "--loss" and text == "null":  # see `LossName.to_config`
        return "mse"
    return re.sub(r"(\d+)x(\d+)", r"\2x\1", text) if option == "--input-size" else text
