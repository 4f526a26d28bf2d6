"""kdkit's own checkpoint files: safetensors with the network's description in the header."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import nn

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.files import write_atomically
from kdkit.training.export import to_safetensors
from kdkit_pose import codecs
from kdkit_pose.convention import check_keypoints, require_convention
from kdkit_pose.models.checkpoint import LoadReport, load_weights
from kdkit_pose.models.checkpoint_check import headless, unknown, with_article
from kdkit_pose.models.checkpoint_files import open_checkpoint
from kdkit_pose.models.checkpoint_formats import Weights, find_weights
from kdkit_pose.models.checkpoint_recognition import RecognisedFile, recognise_weights
from kdkit_pose.models.claimed_size import require_as_large, require_few_keypoints
from kdkit_pose.models.create import create
from kdkit_pose.models.description import DESCRIPTION, as_pose_network, describe
from kdkit_pose.models.identity import Identity
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.models.simple_baseline_config import PREFIX
from kdkit_pose.skeleton import COCO, Skeleton


def save(model: nn.Module, path: str | Path, /, **metadata: str) -> None:
    """Write a network's weights, its description and further metadata to a safetensors file.

    The file appears whole or not at all: it is written beside `path`, flushed to the disk and then renamed,
    so that a failure leaves an older file of that name as it was. Folders are made as needed.

    Args:
        model: A network from `create`; on whatever device.
        path: The file, by custom `*.safetensors`.
        metadata: Strings to find again with `read_metadata`, such as `**codec.to_metadata()` and
            `**skeleton.to_metadata()`. What the network knows of these (see `PoseNetwork`) is written in any case.

    Raises:
        ConfigurationError: The network is not from `create`; metadata that is no string, is called like an
            entry of `describe`, or names a codec or keypoints that are not the network's or cannot be read.
        CheckpointError: The file cannot be written.
    """
    header = describe(model)
    for key, value in metadata.items():
        if key in DESCRIPTION or not isinstance(value, str):
            raise ConfigurationError(
                f"metadata {key}={value!r}: it must be a string, under another name than {', '.join(DESCRIPTION)}"
            )
    content = to_safetensors(model.state_dict(), header | _usage(as_pose_network(model), metadata))
    try:
        write_atomically(Path(path), lambda file: file.write(content))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error


def _usage(network: PoseNetwork, metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata with what the network knows of its codec and skeleton, which it may not contradict."""
    said = network.usage | metadata
    if any(key.startswith("codec") for key in metadata):
        require_convention(network, codecs.from_metadata(said))
    if "skeleton" in metadata:
        skeleton = Skeleton.from_metadata(metadata)
        check_keypoints(network.name, network.skeleton, network.keypoints, skeleton, "the metadata given")
    return said


def load(path: str | Path, *, features: Sequence[str] = ()) -> PoseNetwork:
    """Rebuild the network that a file holds, weights and all, without being told which one it is.

    kdkit's own files say it in their header. Of the official repositories' and mmpose's it is read from the
    names and shapes of the weights: see `recognise`.

    Args:
        path: A file that `save` wrote, or another that `load_checkpoint` takes.
        features: As for `create`.

    Raises:
        CheckpointError: The file cannot be read, is of no network that kdkit knows, or has no heatmap head.
    """
    return load_described(path, features=features)[0]


def load_described(
    path: str | Path,
    *,
    model: str | None = None,
    mask_fusion: str | None = None,
    features: Sequence[str] = (),
    option: str = "--model",
) -> tuple[PoseNetwork, LoadReport, RecognisedFile]:
    """As `load`, with a report of what was loaded and what else the file says.

    Args:
        path: The file.
        model: The network's name, by default what the file says.
        mask_fusion: How a mask enters, by default what the file says; to be given for `multiply`, which leaves
            no trace in files but kdkit's own.
        features: As for `create`.
        option: The command line's option that names the network, for the error.
    """
    file = open_checkpoint(path)
    weights = find_weights(file)
    found, identity = recognise_weights(file, weights)
    name = model if model is not None else _nameable(found, identity, weights, option)
    # Whatever is not known, the loading itself will find that it does not fit, and say so.
    num_keypoints = COCO.num_keypoints if found.num_keypoints is None else found.num_keypoints
    require_few_keypoints(file.path, num_keypoints)
    build = partial(
        create,
        name,
        num_keypoints,
        mask_fusion=mask_fusion or found.mask_fusion,
        features=features,
        activation=found.activation,
    )
    if name.startswith(PREFIX):
        require_as_large(file.path, build, weights.tensors.values())
    try:
        network = build()
    except ConfigurationError as error:
        if "model" not in file.metadata or model is not None or features:
            raise
        raise CheckpointError(f"{path} describes a network that cannot be built: {error}") from error
    return network, load_weights(network, file, weights), found


def _nameable(found: RecognisedFile, identity: Identity | None, weights: Weights, option: str) -> str:
    """Return the network's name, or say why there is none."""
    if identity is None:
        remedy = (
            "if it is one of kdkit's, name it: models.create('hrnet_w32', checkpoint=...), or"
            f" {option} on the command line"
        )
        raise unknown(found.path, weights, remedy)
    if identity.name is None:
        reason = identity.unusable or "give another file"
        raise CheckpointError(f"{found.path} holds {with_article(identity.title)}: {reason}")
    if identity.num_keypoints is None and "model" in found.metadata:
        raise CheckpointError(
            f"{found.path} describes a network that cannot be built: num_keypoints is"
            f" {found.metadata.get('num_keypoints')!r} in its header, where a number of 1 or more belongs"
        )
    if identity.num_keypoints is None:
        raise headless(found.path, identity)
    return identity.name
