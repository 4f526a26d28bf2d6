"""Opening checkpoint files without running anything they hold."""

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from torch import Tensor

from kdkit.errors import CheckpointError
from kdkit.torch_files import load_torch_file


class _Ignored:
    """Stands for an object that trainers pickle beside the weights; swallows its arguments and its state."""

    def __new__(cls, *arguments: Any) -> Self:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


# mmengine's message hub pickles its loss history, numpy arrays in a class of its own; the official training
# file holds its best AP as a numpy scalar. Nothing of it is wanted here, so not even numpy's functions run.
_NUMPY_DTYPES = ("Float16", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "Bool")
_IGNORED_NAMES = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.ndarray",
    "numpy.dtype",
    *(f"numpy.dtypes.{name}DType" for name in _NUMPY_DTYPES),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
)

# An ONNX model is a protobuf message: field 1 is the format's version, a small number, and what follows is the
# tag of one of the next fields (producer, domain, version, documentation, graph, operator sets, metadata).
# A pickle and a zip file begin otherwise; safetensors may begin so, but has its brace.
_ONNX = re.compile(rb"\x08[\x01-\x3f][\x12\x1a\x22\x28\x32\x3a\x42\x72]")


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds, as it was saved, and the metadata of a safetensors file's header or a kdkit run's
    checkpoint."""

    path: Path
    content: Any
    is_safetensors: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


def open_checkpoint(path: str | Path) -> CheckpointFile:
    """Read a `torch.save` or safetensors file onto the CPU; which of the two, its first bytes tell.

    Raises:
        CheckpointError: The file is missing, a folder, empty, damaged, an ONNX model, or pickles code that would
            have to run.
    """
    path = Path(path)
    if _is_safetensors(path):
        metadata, tensors = _open_safetensors(path, with_tensors=True)
        return CheckpointFile(path, tensors, is_safetensors=True, metadata=metadata)
    content = _open_pickle(path)
    return CheckpointFile(path, content, metadata=_run_metadata(content))


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the header metadata of a safetensors file, empty when it has none or is of another format.

    Raises:
        CheckpointError: The file is missing, a folder, empty, an ONNX model, or a damaged safetensors file.
    """
    path = Path(path)
    return _open_safetensors(path, with_tensors=False)[0] if _is_safetensors(path) else {}


def _run_metadata(content: Any) -> dict[str, str]:
    """What a kdkit run's checkpoint says of the student; empty for any other file."""
    if not isinstance(content, Mapping) or not {"distiller", "network", "metadata"} <= content.keys():
        return {}
    metadata = content["metadata"]
    return {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, Mapping) else {}


def _is_safetensors(path: Path) -> bool:
    """Whether a file has safetensors' name, or its beginning: eight bytes of length, then JSON."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the checkpoint file in it")
    try:
        with path.open("rb") as file:
            beginning = file.read(9)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}; check the path") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened: {error.strerror}") from error
    if not beginning:
        raise CheckpointError(f"{path} is empty; download or copy it again")
    if beginning[8:] != b"{" and _ONNX.match(beginning):
        raise CheckpointError(
            f"{path} is an ONNX model, made to be run and not to be loaded: give the checkpoint that it was"
            " exported from, such as a run's student.safetensors"
        )
    return path.suffix == ".safetensors" or beginning[8:] == b"{"


def _open_safetensors(path: Path, with_tensors: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            keys = file.keys() if with_tensors else ()
            return dict(file.metadata() or {}), {key: file.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _open_pickle(path: Path) -> Any:
    try:
        return load_torch_file(path, [(_Ignored, name) for name in _IGNORED_NAMES])
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        # PyTorch's own message advises to turn weights_only off, so it is not passed on.
        if code is None:
            raise _damaged(path, "not a file of torch.save") from None
        raise CheckpointError(
            f"{path} pickles {code.group(1)}, code that loading would have to run; kdkit reads weights only."
            " Where you trust the file, load it yourself and torch.save the network's state_dict()"
        ) from None
    except Exception as error:  # a damaged file may fail anywhere in the unpickler
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is no checkpoint, or damaged or cut short ({reason.strip().partition(chr(10))[0]});"
        " download or copy it again"
    )
