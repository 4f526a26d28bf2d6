"""kdkit's own checkpoint files: safetensors with the network's description in the header."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.files import write_atomically
from kdkit.training.export import to_safetensors
from kdkit_pose.models.checkpoint import load_checkpoint
from kdkit_pose.models.checkpoint_files import read_metadata
from kdkit_pose.models.create import create
from kdkit_pose.models.description import describe
from kdkit_pose.models.network import PoseNetwork


def save(model: nn.Module, path: str | Path, /, **metadata: str) -> None:
    """Write a network's weights, its description and further metadata to a safetensors file.

    The file appears whole or not at all: it is written beside `path`, flushed to the disk and then renamed,
    so that a failure leaves an older file of that name as it was. Folders are made as needed.

    Args:
        model: A network from `create`; on whatever device.
        path: The file, by custom `*.safetensors`.
        metadata: Strings to find again with `read_metadata`, such as `codec="UDP"`.

    Raises:
        ConfigurationError: The network is not from `create`; metadata that is no string, or is called like an
            entry of `describe`.
        CheckpointError: The file cannot be written.
    """
    header = describe(model)
    for key, value in metadata.items():
        if key in header or not isinstance(value, str):
            raise ConfigurationError(
                f"metadata {key}={value!r}: it must be a string, under another name than {set(header)}"
            )
    content = to_safetensors(model.state_dict(), header | metadata)
    try:
        write_atomically(Path(path), lambda file: file.write(content))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error


def load(path: str | Path, *, features: Sequence[str] = ()) -> PoseNetwork:
    """Rebuild the network that `save` wrote, weights and all.

    Args:
        path: A file that `save` wrote.
        features: As for `create`.

    Raises:
        CheckpointError: The file cannot be read, or its header does not describe a network of kdkit.
    """
    metadata = read_metadata(path)
    name, num_keypoints = metadata.get("model"), metadata.get("num_keypoints", "")
    if name is None or not num_keypoints.isdecimal():
        raise CheckpointError(
            f"{path} does not say which network it holds, as files by models.save do; name it:"
            " models.create('hrnet_w32', checkpoint=...), or --model on the command line"
        )
    try:
        fusion = metadata.get("mask_fusion", "none")
        model = create(name, int(num_keypoints), mask_fusion=fusion, features=features)
    except ConfigurationError as error:
        raise CheckpointError(f"{path} describes a network that cannot be built: {error}") from error
    load_checkpoint(model, path)
    return model
