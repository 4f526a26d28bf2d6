"""The files that a command writes: looked at before the work is done, named after it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from kdkit import ConfigurationError

_OTHER_FILE = "name another file"
_NETWORKS = (".safetensors", ".pt", ".pth", ".ckpt", ".onnx")


def check_outputs(
    outputs: Mapping[str, Path | None],
    inputs: Mapping[str, Path | str | None],
    *,
    networks: bool = False,
) -> None:
    """Refuse files that could not be written, or would replace what is read, before minutes are spent on them.

    A file that is there already is replaced, unless its name says that it is a network's: that is hours of work.
    A missing folder is no reason either: it is made.

    Args:
        outputs: the files to write, by the options that name them; None for an option that is not given.
        inputs: what is read, likewise; texts that name no file, such as ``coco``, are passed over.
        networks: whether the outputs are networks themselves, and may replace others.

    Raises:
        ConfigurationError: if a file is a folder, lies where nothing can be written, is one of the inputs, is
            named by two options, or would replace a network.
    """
    taken: dict[Path, str] = {}
    read = {Path(path).resolve(): option for option, path in inputs.items() if path and Path(path).is_file()}
    for option, path in outputs.items():
        if path is None:
            continue
        place = path.resolve()
        if place in read:
            raise ConfigurationError(
                f"{option} '{path}' would replace {read[place]}, which is read: {_OTHER_FILE}"
            )
        if not networks and place.suffix in _NETWORKS and place.exists():
            raise ConfigurationError(f"{option} '{path}' would replace a network's file: {_OTHER_FILE}")
        if place in taken:
            raise ConfigurationError(f"{option} '{path}' would replace the file of {taken[place]}: {_OTHER_FILE}")
        taken[place] = option
        _check_place(option, path)


def show_written(*paths: Path | None) -> None:
    """Say which files were written, a line each; nothing of those that were not asked for."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for path in paths:
        if path is not None:
            console.print(f"written: {path}")


def _check_place(option: str, path: Path) -> None:
    if path.is_dir():
        raise ConfigurationError(f"{option} '{path}' is a folder: give a file in it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ConfigurationError(f"{option} '{path}' cannot be written, for {folder} is a file: give a folder")
    try:
        # What a mode allows is not the whole truth: a file system may be read-only or full. It leaves no trace.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(
            f"{option} '{path}' cannot be written: in {folder} no file can be made ({reason}); {_OTHER_FILE}"
        ) from error
