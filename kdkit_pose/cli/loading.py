"""Networks from checkpoint files, for the command line."""

import hashlib
from pathlib import Path

from kdkit import ConfigurationError
from kdkit_pose import codecs, models
from kdkit_pose.codecs import Codec
from kdkit_pose.models import PoseNetwork
from kdkit_pose.skeleton import COCO


def describe_file(path: Path) -> dict[str, str]:
    """Return a file's path and the SHA-256 of its content, by which a run knows it again."""
    with path.open("rb") as file:
        return {"path": str(path), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def load_network(path: Path, model: str | None, mask_fusion: str, option: str) -> tuple[PoseNetwork, Codec | None]:
    """Return the network in a checkpoint, and the codec it was trained with where the file says so.

    Args:
        path: kdkit's own file, or an official or mmpose HRNet checkpoint.
        model: the network's name; needed where the file does not say it.
        mask_fusion: how a mask enters, where ``model`` is given.
        option: the option that gives the model, named in the error.

    Raises:
        CheckpointError: if the file cannot be used.
        ConfigurationError: if nothing says which network the file holds, or it has other keypoints than COCO's.
    """
    metadata = models.read_metadata(path)
    if model is None and mask_fusion != "none":
        raise ConfigurationError(
            f"mask fusion '{mask_fusion}' is of no use without {option}, which names the network"
        )
    if model is not None:
        network = models.create(model, checkpoint=path, mask_fusion=mask_fusion)
    elif "model" in metadata:
        network = models.load(path)
    else:
        raise ConfigurationError(
            f"'{path}' does not say which network it holds: name it with {option}, one of "
            f"{', '.join(models.names())}"
        )
    if network.num_keypoints != COCO.num_keypoints:
        raise ConfigurationError(
            f"'{path}' predicts {network.num_keypoints} keypoints, the command line works with COCO's "
            f"{COCO.num_keypoints}: use kdkit_pose from Python, with a Skeleton"
        )
    codec = codecs.from_metadata(metadata) if "codec" in metadata else None
    return network, codec
