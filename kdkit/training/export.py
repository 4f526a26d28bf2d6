"""The bare student as a safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from kdkit.files import write_atomically


def export_student(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write the bare network's state dict, with metadata in the file's header.

    Plain PyTorch reads it: ``network.load_state_dict(safetensors.torch.load_file(path))``.

    Args:
        state: the network's state dict.
        path: the file to write, atomically.
        metadata: strings for the header, for example the network's name.
    """
    content = to_safetensors(state, {"format": "pt", **metadata})
    write_atomically(path, lambda file: file.write(content))


def to_safetensors(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file's bytes, which are the same whenever tensors and metadata are.

    Args:
        state: tensors by name, on any device.
        metadata: strings for the header.
    """
    # Copies, since safetensors refuses tensors that share storage, as tied weights do.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    content = save(tensors, dict(metadata))
    # The library writes the header's entries in an order that changes from run to run; sort them.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data stays aligned to 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
