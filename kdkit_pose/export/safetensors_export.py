"""A network as a safetensors file that says how it is to be used."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from kdkit.errors import CheckpointError, ExportError
from kdkit_pose.codecs import Codec
from kdkit_pose.convention import require_convention
from kdkit_pose.export.metadata import usage_metadata
from kdkit_pose.export.shipped import ShippedNetwork, check_heatmaps
from kdkit_pose.models.description import as_pose_network
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.models.saving import load, save
from kdkit_pose.skeleton import COCO, Skeleton

_BATCH = 3


@dataclass(frozen=True)
class SafetensorsReport:
    """What `to_safetensors` wrote.

    Args:
        path: The file.
        model: The network's name.
        entries: Number of tensors.
        size: Of the file, in bytes.
        codec: Written with it.
        skeleton: Written with it.
    """

    path: Path
    model: str
    entries: int
    size: int
    codec: Codec
    skeleton: Skeleton

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.model}, {self.entries} entries, {self.size / 1e6:.1f} MB\n"
            f"  {self.codec}, skeleton {self.skeleton.name!r}\n"
            f"  read again: every entry, and the heatmaps of {_BATCH} random images, equal to the bit"
        )


def to_safetensors(
    network: PoseNetwork, path: str | Path, codec: Codec, skeleton: Skeleton = COCO
) -> SafetensorsReport:
    """Write a network to kdkit's own file, which needs no further description, and read it again to be sure.

    It is a plain safetensors file of the network's state dict, in float32; `usage_metadata` tells what its
    header says. It appears only once what was read back is the network: a failure leaves an older file as it
    was. The network, on whatever device, is not changed.

    Args:
        network: From `kdkit_pose.models`.
        path: The file, by custom `*.safetensors`.
        codec: The convention it was trained with.
        skeleton: Its keypoints.

    Raises:
        ConfigurationError: Codec or skeleton do not fit the network, or are not what it was trained for.
        ExportError: The network read back is not equal: it is random in eval mode, or has a state beside its
            state dict.
        CheckpointError: The file cannot be written.
    """
    path = Path(path)
    require_convention(as_pose_network(network), codec, skeleton)
    shipped = ShippedNetwork(network)
    inputs = shipped.draw_inputs(_BATCH, codec.input_size, seed=0)
    heatmap = shipped.run(*inputs)
    check_heatmaps(heatmap, _BATCH, codec, skeleton)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            written = Path(folder) / "network.safetensors"
            save(shipped.network, written, **usage_metadata(codec, skeleton, mask="mask" in network.inputs))
            read = ShippedNetwork(load(written))
            state = shipped.network.state_dict()
            same = all(torch.equal(value, state[key]) for key, value in read.network.state_dict().items())
            if not same or not torch.equal(read.run(*inputs), heatmap):
                raise ExportError(
                    f"{network.name}: what was read back from the file is another network; {path} is not written."
                    " Is the network random or not finite in eval mode, or does it hold more than its state dict?"
                )
            size = written.stat().st_size
            written.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error
    return SafetensorsReport(path, network.name, len(state), size, codec, skeleton)
