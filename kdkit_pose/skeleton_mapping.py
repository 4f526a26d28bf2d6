"""From one skeleton's keypoints to another's: a teacher of other keypoints than the student's."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.batch import Batch, read_field
from kdkit.errors import BatchError, ConfigurationError
from kdkit.transforms import Channels
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class KnownKeypoints:
    """A region: 1 for the keypoints that a teacher knows and 0 for the others, times the batch's visibility.

    Args:
        known: for each of the student's keypoints, whether the teacher knows it.
        visible: the batch field [B, K] of the student's keypoints that is multiplied on, as the recipes weigh
            their losses; a batch without the field counts as all ones. None to learn from the teacher where
            nothing is labelled too.
    """

    known: tuple[bool, ...]
    visible: str | None = "visible"

    def __call__(self, batch: Batch) -> Tensor:
        """Return weights [B, K] with visibility, else [1, K].

        Raises:
            BatchError: if the visibility is not of as many keypoints, or the batch holds no tensor.
        """
        if self.visible is None or self.visible not in batch:
            held = next((value for value in batch.values() if isinstance(value, Tensor)), None)
            if held is None:
                raise BatchError(f"{self!r}: the batch holds no tensor, so its device is not known")
            visible = torch.ones((1, len(self.known)), device=held.device)
        else:
            visible = read_field(batch, self.visible, "KnownKeypoints")
        if visible.ndim != 2 or visible.shape[1] != len(self.known):
            raise BatchError(
                f"{self!r}: the field '{self.visible}' has shape {tuple(visible.shape)}, it must be "
                f"[B, {len(self.known)}], of the student's keypoints"
            )
        return Channels(tuple(index if known else None for index, known in enumerate(self.known)))(visible)


@dataclass(frozen=True)
class KeypointMapping:
    """Which of a source skeleton's keypoints are a target skeleton's; made by :func:`map_keypoints`.

    Attributes:
        source: the skeleton of the teacher.
        target: the skeleton of the student.
        order: for each keypoint of the target, its index in the source, or None where the source lacks it.
    """

    source: Skeleton
    target: Skeleton
    order: tuple[int | None, ...]

    @property
    def transform(self) -> Channels:
        """Heatmaps [B, K of the source, h, w] to [B, K of the target, h, w]; unknown keypoints become 0."""
        return Channels(self.order)

    @property
    def known(self) -> tuple[bool, ...]:
        """For each keypoint of the target, whether the source has it."""
        return tuple(index is not None for index in self.order)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the target's keypoints that the source lacks."""
        return tuple(name for name, known in zip(self.target.keypoints, self.known, strict=True) if not known)

    @property
    def region(self) -> KnownKeypoints:
        """Where the teacher's targets are to be learned from: known keypoints, times ``visible`` if it is there.

        Without it a student would learn that unknown keypoints are nowhere.
        """
        return KnownKeypoints(self.known)

    def __repr__(self) -> str:
        return f"KeypointMapping({self.source.name} to {self.target.name}, order={self.order})"


def map_keypoints(source: Skeleton, target: Skeleton, aliases: Mapping[str, str] | None = None) -> KeypointMapping:
    """Match two skeletons' keypoints by name.

    Only keypoints that are the same point of the body can be mapped. A point between others, such as a neck as
    the middle of the shoulders, is no channel of heatmaps: averaging two heatmaps gives two half peaks, not one
    between them. Such a keypoint stays missing, and is learned from the ground truth or from another teacher.
    Heatmaps keep their size and codec: the teacher's must be the student's, or be brought to it.

    Args:
        source: the skeleton of the teacher.
        target: the skeleton of the student.
        aliases: the source's name for a keypoint of the target, where they differ: ``{"head": "head_top"}``.

    Raises:
        ConfigurationError: if an alias names no keypoint, or the skeletons have none in common.

    Example:
        A student of CrowdPose's keypoints learns from a teacher of COCO's:

        >>> import torch
        >>> from kdkit import Distill, ModuleTeacher, TransformedTeacher, losses
        >>> from kdkit_pose.skeleton import COCO, CROWDPOSE
        >>> mapping = map_keypoints(COCO, CROWDPOSE)
        >>> mapping.missing
        ('head', 'neck')
        >>> coco = ModuleTeacher("coco", torch.nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap")
        >>> teacher = TransformedTeacher(coco, outputs={"heatmap": mapping.transform})
        >>> teacher.targets({"image": torch.zeros(2, 3, 64, 48)})["heatmap"].shape
        torch.Size([2, 14, 64, 48])
        >>> objective = Distill(teacher, "heatmap", losses.mse, region=mapping.region)
    """
    aliases = dict(aliases or {})
    for own, other in aliases.items():
        for name, skeleton in ((own, target), (other, source)):
            if name not in skeleton.keypoints:
                raise ConfigurationError(
                    f"the alias {own!r}: {other!r} goes from a keypoint of {target.name!r} to one of "
                    f"{source.name!r}, but {skeleton.name!r} has no {name!r}, only {list(skeleton.keypoints)}"
                )
    names = [aliases.get(name, name) for name in target.keypoints]
    order = tuple(source.keypoints.index(name) if name in source.keypoints else None for name in names)
    if all(index is None for index in order):
        raise ConfigurationError(
            f"skeletons {source.name!r} and {target.name!r} have no keypoint in common by name: the first has "
            f"{list(source.keypoints)}, the second {list(target.keypoints)}; give aliases"
        )
    return KeypointMapping(source, target, order)
