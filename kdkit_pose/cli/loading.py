"""Networks from checkpoint files, for the command line."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kdkit import ConfigurationError
from kdkit_pose import models
from kdkit_pose.codecs import Codec
from kdkit_pose.convention import check_keypoints
from kdkit_pose.models import LoadReport, PoseNetwork
from kdkit_pose.models.saving import load_described
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class LoadedNetwork:
    """A network and what its file says of it.

    Args:
        network: the network, on the CPU, in training mode.
        codec: what its heatmaps mean; None where the file does not say it.
        skeleton: what its keypoints are; None where the file does not say it.
        report: which of the file's weights were loaded, and which not.
        keypoints: the keypoints' names, also where an mmpose file lists those of no skeleton that kdkit knows;
            None where there are none.
    """

    network: PoseNetwork
    codec: Codec | None
    skeleton: Skeleton | None
    report: LoadReport
    keypoints: tuple[str, ...] | None = None


def describe_file(path: Path) -> dict[str, str]:
    """Return a file's path and the SHA-256 of its content."""
    return {"path": str(path), **content_of_file(path)}


def content_of_file(path: Path) -> dict[str, str]:
    """Return the SHA-256 of a file's content, by which a run knows it again wherever it lies."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def content_of_weights(weights: str | None) -> str | dict[str, str] | None:
    """Return what a run knows the weights it began with by: the content of a file, or a hub's name as it is."""
    return weights if weights is None or not Path(weights).is_file() else content_of_file(Path(weights))


def skeleton_in(*paths: Path | None) -> Skeleton | None:
    """Return the skeleton that the first of these checkpoints names that names one; None if none does.

    Raises:
        CheckpointError: if one of them cannot be read.
    """
    for path in paths:
        metadata = {} if path is None else models.recognise(path).metadata
        if "skeleton" in metadata:
            return Skeleton.from_metadata(metadata)
    return None


def load_network(path: Path, model: str | None, mask_fusion: str, option: str) -> LoadedNetwork:
    """Return the network in a checkpoint, and the codec and skeleton it was trained with where the file says so.

    Args:
        path: any file that `models.load` takes.
        model: the network's name, for a file that is not recognised; a name that contradicts the file is
            refused.
        mask_fusion: how a mask enters, where the file does not say it; ``none`` is what the file says, and
            another one than its header says is refused.
        option: the option that gives the model, named in the error.

    Raises:
        CheckpointError: if the file cannot be used, or nothing says which network it holds.
        ConfigurationError: if there is no such model or mask fusion, or the file's codec or skeleton cannot be
            read.
    """
    fusion = None if mask_fusion == "none" else mask_fusion
    network, report, found = load_described(path, model=model, mask_fusion=fusion, option=option)
    said = found.metadata.get("mask_fusion", network.mask_fusion.name)
    if said != network.mask_fusion.name:
        raise ConfigurationError(
            f"'{path}' says that its mask fusion is '{said}', not '{mask_fusion}': leave"
            f" {option.replace('model', 'mask-fusion')} out"
        )
    return LoadedNetwork(network, network.codec, network.skeleton, report, network.keypoints)


def check_skeleton(loaded: LoadedNetwork, skeleton: Skeleton, data: str = "the data") -> None:
    """Require that a network predicts the data's keypoints.

    Args:
        loaded: the network.
        skeleton: the data's skeleton.
        data: how to call the data in the error, such as its file.

    Raises:
        ConfigurationError: another number of keypoints, others than the file names, or other flip pairs.
    """
    path, count = loaded.report.path, loaded.network.num_keypoints
    if count != skeleton.num_keypoints:
        raise ConfigurationError(
            f"'{path}' predicts {count} keypoints, {data} has {skeleton.num_keypoints} ({skeleton.name}): give"
            " data of the same keypoints, or another checkpoint"
        )
    check_keypoints(path, loaded.skeleton, loaded.keypoints, skeleton, data)


def check_codec(asked: Codec, known: Codec | None, path: Path, remedy: str = "", option: str = "--codec") -> None:
    """Require that heatmaps are read as they were learnt; only the decoder is free.

    Args:
        asked: the codec that options describe.
        known: what the checkpoint says; None if nothing, which contradicts nothing.
        path: the checkpoint, named in the error.
        remedy: a further way out, such as an option that insists, to end the error with.
        option: what the command calls the codec.

    Raises:
        ConfigurationError: another convention, input size or sigma.
    """
    if known is None:
        return
    differences = [
        (name, learnt, wanted)
        for name, learnt, wanted in (
            (option, known.name, asked.name),
            ("--input-size", _size(known), _size(asked)),
            ("--sigma", f"{known.sigma:g}", f"{asked.sigma:g}"),
        )
        if learnt != wanted
    ]
    if differences:
        told = ", ".join(f"{name} {learnt}, not {wanted}" for name, learnt, wanted in differences)
        options = ", ".join(name for name, _, _ in differences)
        raise ConfigurationError(
            f"'{path}' says that it was trained for {told}: its heatmaps would be misread; leave {options} out"
            + (f", or {remedy}" if remedy else "")
        )


def _size(codec: Codec) -> str:
    return f"{codec.input_size[1]}x{codec.input_size[0]}"
