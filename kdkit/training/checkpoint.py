"""Checkpoints: one file with all that a run needs to go on, and a checksum of it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from kdkit.errors import CheckpointError
from kdkit.files import write_atomically
from kdkit.torch_files import load_torch_file

FORMAT = 3
_WITHOUT_CHECKSUM = 2
_MARK = b"kdkit sha256\n"
_TRAILER = len(_MARK) + hashlib.sha256().digest_size
_BLOCK = 1 << 20


def save_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write a run's state atomically, and behind it a SHA-256 of the file up to there.

    The file is still one that :func:`torch.load` reads: it looks for a file's end from behind.

    Args:
        state: tensors, numbers, strings, tuples, lists and dictionaries of them, nothing else.
        path: the file to write.

    Raises:
        OSError: if it cannot be written; what was at ``path`` is as it was.
    """
    write_atomically(path, lambda file: _write({"format": FORMAT, **state}, file))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a run's state, on the CPU; code pickled in the file is never executed.

    Raises:
        CheckpointError: if the file is damaged, unsafe or of another format.
    """
    try:
        checked = _has_its_checksum(path)
        state = load_torch_file(path)
    except Exception as error:  # of damaged bytes torch and pickle may raise anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"the checkpoint '{path}' cannot be read ({reason}): it is damaged, or not kdkit's; restore it, or "
            f"start anew in another folder"
        ) from error
    number = state.get("format") if isinstance(state, dict) else None
    if type(number) is not int or number not in (FORMAT, _WITHOUT_CHECKSUM):
        raise CheckpointError(f"the file '{path}' is no checkpoint of a run (format {FORMAT} expected)")
    if number == FORMAT and not checked:
        raise CheckpointError(f"the checkpoint '{path}' is damaged: its checksum is missing")
    return cast(dict[str, Any], state)


class _Hashing:
    """A file that only grows, and the hash of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        self._hash.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> bytes:
        return self._hash.digest()


def _write(state: Mapping[str, Any], file: BinaryIO) -> None:
    hashing = _Hashing(file)
    try:
        torch.save(state, cast(BinaryIO, hashing))  # it only writes
    except RuntimeError as error:  # torch's own, of a disk that is full
        raise hashing.error or error from error
    file.write(_MARK + hashing.digest())


def _has_its_checksum(path: Path) -> bool:
    """Return whether a file ends with its checksum; False where there is none.

    Raises:
        ValueError: if it is another file's.
    """
    with path.open("rb") as file:
        left = path.stat().st_size - _TRAILER
        file.seek(max(left, 0))
        trailer = file.read()
        if not trailer.startswith(_MARK):
            return False
        file.seek(0)
        found = hashlib.sha256()
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            found.update(block)
            left -= len(block)
    if found.digest() != trailer[len(_MARK) :]:
        raise ValueError("its checksum is not that of its content")
    return True
