"""Files of :func:`torch.save`, read as data: sizes are looked at first, and nothing in them is run."""

import io
import pickletools
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import torch

_ZIP = b"PK\x03\x04"
_MAGIC = 0x1950A86A20F9469CFC6C  # with which older files begin
_LONGEST_NAME = 1000


def load_torch_file(path: str | Path, stand_ins: Iterable[tuple[type, str]] = ()) -> Any:
    """Return what a file of `torch.save` holds, on the CPU; only tensors and plain types are made of it.

    That a tensor has no more numbers than its part of the file, PyTorch itself sees to.

    Args:
        path: the file.
        stand_ins: inert classes that are made in the place of the names beside them.

    Raises:
        ValueError: if its parts claim more bytes than the file has, or it is otherwise none of `torch.save`.
        Exception: whatever PyTorch raises of a file that is damaged or pickles code.
    """
    path = Path(path)
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
        if is_zip:
            _check_parts(path)
        else:
            file.seek(0)
            _check_older(file)
    with torch.serialization.safe_globals(list(stand_ins)):
        return torch.load(path, map_location="cpu", weights_only=True)


def _check_parts(path: Path) -> None:
    """Refuse an archive that would unfold into more than it is; PyTorch never compresses."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = next((part.filename for part in parts if part.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise ValueError(f"its part {packed!r} is compressed, which torch.save never does")
        claimed, size = sum(part.file_size for part in parts), path.stat().st_size
        if claimed > size:
            raise ValueError(f"its parts claim {claimed:,} bytes, the file has {size:,}")
        for part in parts:
            if part.filename.endswith("data.pkl"):
                _check_names(io.BytesIO(archive.read(part)))


def _check_older(file: BinaryIO) -> None:
    """The same of what PyTorch wrote before 1.6: five pickles, of which the first is a number."""
    if _check_names(file) == _MAGIC:
        for _ in range(4):
            _check_names(file)


def _check_names(file: BinaryIO) -> object:
    """Refuse a pickle of names longer than any: PyTorch's own error for one takes time by its length squared.

    It is only looked at, instruction by instruction.

    Returns:
        What its second instruction holds, after the one that says the protocol.
    """
    second = None
    try:
        for place, (code, argument, _) in enumerate(pickletools.genops(file)):
            second = argument if place == 1 else second
            if code.name in ("GLOBAL", "INST") and len(str(argument)) > _LONGEST_NAME:
                break
        else:
            return second
    except Exception as error:  # of damaged bytes any
        raise ValueError("not a file of torch.save") from error
    raise ValueError(f"it names a class by {len(str(argument)):,} characters")
