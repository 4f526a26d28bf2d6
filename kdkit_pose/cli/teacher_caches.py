"""Caches in place of a recipe's teachers: what they say of them, and whether they are the right ones."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from kdkit import (
    Batch,
    CachedTeacher,
    CacheError,
    ConfigurationError,
    Curriculum,
    Distill,
    Identity,
    TargetCache,
    Teacher,
)
from kdkit.cache import CANONICAL, CanonicalTeacher, cache_fingerprint
from kdkit_pose import codecs
from kdkit_pose.codecs import Codec
from kdkit_pose.data import PoseDataset
from kdkit_pose.data.maskless import without_masks
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class TeacherCaches:
    """The options that name caches."""

    primary_cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder that kdkit-pose cache build made of the primary teacher: its heatmaps are "
            "read, and it is not run."
        ),
    ] = None
    senior_cache: Annotated[
        Path | None,
        typer.Option(help="The same of the senior teacher. Beside its cache a teacher's file may be left out."),
    ] = None

    @property
    def by_role(self) -> dict[str, Path]:
        """The folders of those that are given."""
        folders = {"primary": self.primary_cache, "senior": self.senior_cache}
        return {role: folder for role, folder in folders.items() if folder is not None}


class RoleCache:
    """A cache that stands for a recipe's teacher, as its folder says it.

    Args:
        role: the teacher's.
        folder: the cache's.

    Raises:
        CacheError: if the cache cannot be used.
        ConfigurationError: if it holds no heatmaps.
    """

    def __init__(self, role: str, folder: Path) -> None:
        self.role, self.cache = role, TargetCache.open(folder)
        if len(self.cache.shapes.get("heatmap", ())) != 3:
            raise ConfigurationError(f"{self.option} holds {self.cache.shapes} and no 'heatmap' [K, h, w]")

    @property
    def option(self) -> str:
        """How the command line calls it, for an error."""
        return f"--{self.role}-cache '{self.cache.path}'"

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that its teacher read."""
        return tuple(re.findall(r"(\w+) \w+ \[", self.cache.fingerprint.get("inputs", "")))

    @property
    def transforms(self) -> str:
        """What was applied to the heatmaps, as the cache's fingerprint says it."""
        return self.cache.fingerprint.get("transforms", "{}")

    @property
    def codec(self) -> Codec | None:
        """What its heatmaps mean; None where it does not say it."""
        header = self.cache.header
        if "codec" not in header.convention:
            return None
        decoder = header.recorded.get("codec_decoder", "peak")
        return codecs.from_metadata({**header.convention, "codec_decoder": decoder})

    @property
    def skeleton(self) -> Skeleton | None:
        """Its teacher's keypoints; None where it does not say it."""
        recorded = self.cache.header.recorded
        return Skeleton.from_metadata(recorded) if "skeleton" in recorded else None

    def teacher(self, skeleton: Skeleton) -> Teacher:
        """Return what gives its heatmaps to a student, from records that come with the samples.

        Args:
            skeleton: the data's keypoints, which change sides where a sample is mirrored.
        """
        records = f"{self.role}_records"
        if not self.cache.canonical:
            return CachedTeacher(self.role, self.cache, records=records)
        swapped = {"heatmap": skeleton.flip_permutation}
        # A pose network's peaks are as wide whatever the zoom.
        return CanonicalTeacher(self.role, self.cache, swapped=swapped, width="kept", records=records)

    def to_config(self) -> dict[str, str]:
        """Return what names a run: what it was made of, wherever it lies."""
        return self.cache.header.items()

    def check_skeleton(self, skeleton: Skeleton, data: str) -> None:
        """Require heatmaps of as many keypoints as the data have.

        Raises:
            ConfigurationError: if it has others.
        """
        count = self.cache.shapes["heatmap"][0]
        if count != skeleton.num_keypoints:
            raise ConfigurationError(
                f"{self.option} holds heatmaps of {count} keypoints, {data} has {skeleton.num_keypoints} "
                f"({skeleton.name}): give data of the same keypoints, or another cache"
            )

    def check_transforms(self, curriculum: Curriculum) -> None:
        """Require that every objective that learns from it wants what it holds.

        Heatmaps as the teacher gave them can be transformed in any way. Transformed ones are of use only where the
        same is asked for: to binarize what is binarized changes nothing.

        Raises:
            ConfigurationError: naming the stage, and what it wants.
        """
        for stage, objective in _learning_from(curriculum, self.role):
            plain, wanted = (repr({objective.target: how}) for how in (Identity(), objective.transform))
            if self.transforms not in ("{}", plain, wanted):
                raise ConfigurationError(
                    f"{self.option} differs in transforms: it holds {self.transforms}, and stage '{stage}' learns "
                    f"from {wanted}; build another cache with these (kdkit-pose cache build --transform), or give "
                    f"--recipe, --binarize and --threshold as this one was built for"
                )

    def check_source(self, teacher: Teacher | None, data: PoseDataset) -> None:
        """Require that it was made of this teacher, where one is at hand, and of these persons.

        Args:
            teacher: with its network, or None.
            data: the training persons, with masks if the cache's teacher read them.

        Raises:
            CacheError: naming what differs.
        """
        made_by = teacher or _Absent(self)
        seen = data if "mask" in made_by.reads else without_masks(data)
        if self.cache.canonical:
            seen = seen.unaugmented()
        mode = CANONICAL if self.cache.canonical else {}
        items = cache_fingerprint(made_by, seen, prepare=seen.prepare, fingerprint=mode)
        # The curriculum is asked about these.
        del items["transforms"]
        try:
            TargetCache.open(self.cache.path, expect=items, verify="none")
        except CacheError as error:
            hint = "; data: the persons, their masks, the input and its heatmaps, augmentation and seed"
            differs = items["data"] != self.cache.fingerprint.get("data")
            raise CacheError(f"--{self.role}-cache: {error}{hint if differs else ''}") from error


class _Absent(Teacher):
    """Stands for a teacher of which there is only a cache: whatever its weights were, they are the right ones."""

    def __init__(self, cache: RoleCache) -> None:
        self.name, self.reads, self.outputs = cache.role, cache.reads, cache.cache.outputs
        self._fingerprint = cache.cache.fingerprint["teacher"]

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        raise NotImplementedError(f"teacher '{self.name}' is not at hand")

    def fingerprint(self) -> str:
        return self._fingerprint


def _learning_from(curriculum: Curriculum, role: str) -> Iterator[tuple[str, Distill]]:
    """Yield the objectives that learn from a teacher, and their stages' names."""
    for stage in curriculum:
        for objective in stage.objectives:
            if isinstance(objective, Distill) and objective.teacher.name == role and not objective.is_off:
                yield stage.name, objective


def describe_views(caches: Mapping[str, RoleCache]) -> str:
    """Return how many views of each person a run has, in a line."""
    views = {role: one.cache.views for role, one in caches.items() if not one.cache.canonical}
    if not views:
        return "views of each person: one an epoch, its cached heatmaps warped to it"
    fewest = min(views.values())
    told = ", ".join(f"{role} {count}" for role, count in views.items())
    fewer = f", the fewest of the caches' ({told})" if max(views.values()) > fewest else ""
    return f"views of each person: {fewest}{fewer}, repeated over the epochs"
