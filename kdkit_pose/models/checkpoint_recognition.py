"""What a checkpoint file is, told without building a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kdkit_pose.models.checkpoint_check import described_activation
from kdkit_pose.models.checkpoint_config import read_codec, read_keypoints
from kdkit_pose.models.checkpoint_files import CheckpointFile, open_checkpoint
from kdkit_pose.models.checkpoint_formats import Weights, find_weights
from kdkit_pose.models.identify import identify_described
from kdkit_pose.models.identity import Identity
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton


@dataclass(frozen=True)
class RecognisedFile:
    """What `recognise` found.

    Args:
        path: The file.
        format: The layout it was recognised as.
        model: The name `create` knows the network by, None where it knows it not.
        title: How to call the network, None where it is of no known kind.
        num_keypoints: Heatmaps of the head; None without one, as in an ImageNet classifier's file.
        mask_fusion: How a mask enters; of a network without a header `multiply` is not seen.
        metadata: What the file says beside the weights: a kdkit file's header, or of an mmpose file the codec
            and the skeleton as such a header has them, so that `codecs.from_metadata` and
            `Skeleton.from_metadata` read both.
        keypoints: The names of the keypoints, in order, where an mmpose file lists them; None where it does not,
            and of a kdkit file, whose header may have the skeleton.
        unusable: Why kdkit cannot use a network that it knows by sight; None otherwise.
        activation: What the heatmaps go through, as a kdkit file's header says; `none` of any other.
    """

    path: Path
    format: str
    model: str | None
    title: str | None
    num_keypoints: int | None
    mask_fusion: str = "none"
    metadata: Mapping[str, str] = field(default_factory=dict)
    unusable: str | None = None
    keypoints: tuple[str, ...] | None = None
    activation: str = "none"

    def __str__(self) -> str:
        heads = "no heatmap head" if self.num_keypoints is None else f"{self.num_keypoints} keypoints"
        parts = [self.title or "an unknown network", heads if self.title and not self.unusable else ""]
        parts.append(f"mask fusion {self.mask_fusion!r}" if self.mask_fusion != "none" else "")
        parts.append(f"activation {self.activation!r}" if self.activation != "none" else "")
        parts.append(self.unusable or "")
        return f"{self.path} ({self.format}): {', '.join(part for part in parts if part)}"


def recognise(path: str | Path) -> RecognisedFile:
    """Say which network a file holds, from its header or from the names and shapes of its weights.

    Raises:
        CheckpointError: The file is missing, damaged or unsafe, or holds no weights.

    >>> import tempfile
    >>> from kdkit_pose import models
    >>> path = Path(tempfile.mkdtemp()) / "somebody_elses.pth"
    >>> import torch
    >>> torch.save(models.create("hrnet_w8_small", num_keypoints=14).state_dict(), path)
    >>> found = models.recognise(path)
    >>> found.model, found.num_keypoints, found.format
    ('hrnet_w8_small', 14, 'state dict')
    """
    file = open_checkpoint(path)
    return recognise_weights(file, find_weights(file))[0]


def recognise_weights(file: CheckpointFile, weights: Weights) -> tuple[RecognisedFile, Identity | None]:
    """As `recognise`, of a file that is open."""
    identity = identify_described(file.metadata, weights.tensors, (*weights.keys.values(), *weights.unused))
    found = identity or Identity(None, "")
    listed = () if file.metadata else read_keypoints(_meta(file))
    recognised = RecognisedFile(
        path=file.path,
        format=weights.format,
        model=found.name,
        title=found.title or None,
        num_keypoints=found.num_keypoints,
        mask_fusion=found.mask_fusion,
        metadata=file.metadata or _mmpose_metadata(file),
        unusable=found.unusable,
        keypoints=listed or None,
        activation=described_activation(file.metadata),
    )
    return recognised, identity


def _meta(file: CheckpointFile) -> object:
    return file.content.get("meta") if isinstance(file.content, Mapping) else None


def _mmpose_metadata(file: CheckpointFile) -> dict[str, str]:
    meta = _meta(file)
    skeleton = _skeleton(read_keypoints(meta))
    return read_codec(meta) | (skeleton.to_metadata() if skeleton is not None else {})


def _skeleton(keypoints: tuple[str, ...]) -> Skeleton | None:
    """Return the known skeleton of these keypoints; mmpose calls CrowdPose's head `top_head`."""
    names = tuple(name.replace("top_head", "head") for name in keypoints)
    return next((skeleton for skeleton in (COCO, CROWDPOSE) if skeleton.keypoints == names), None)
