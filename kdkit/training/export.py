"""The bare student as a safetensors file."""

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
    # Copies, since safetensors refuses tensors that share storage, as tied weights do.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    write_atomically(path, lambda file: file.write(save(tensors, {"format": "pt", **metadata})))
