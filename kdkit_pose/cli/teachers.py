"""A recipe's teachers from options."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from kdkit import ConfigurationError, Curriculum, Distill, Teacher
from kdkit_pose import recipes
from kdkit_pose.cli.codec_choice import ChosenCodec, choose_codec
from kdkit_pose.cli.curriculum import ROLES
from kdkit_pose.cli.loading import LoadedNetwork, check_skeleton, load_network
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.teacher_caches import RoleCache
from kdkit_pose.codecs import Codec, Decoder
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.mixed_shapes import torn_between_discs
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class TeacherFile:
    """What the options say of one teacher: its file and, where the file does not say it, its network."""

    path: Path | None
    model: str | None = None
    mask_fusion: str = "none"


@dataclass(frozen=True)
class TeacherFiles:
    """The options that name the teachers."""

    primary: Annotated[Path | None, typer.Option(help="The primary teacher's file (of fpd: the teacher's).")] = (
        None
    )
    senior: Annotated[Path | None, typer.Option(help="The senior teacher's file.")] = None
    primary_model: Annotated[str | None, typer.Option(help="Its network, where the file does not say it.")] = None
    senior_model: Annotated[str | None, typer.Option(help="Its network, where the file does not say it.")] = None
    senior_mask_fusion: Annotated[
        str, typer.Option(help="How its mask enters, where the file does not say it.")
    ] = "none"

    @property
    def by_role(self) -> dict[str, TeacherFile]:
        """What they say of each teacher."""
        return {
            "primary": TeacherFile(self.primary, self.primary_model),
            "senior": TeacherFile(self.senior, self.senior_model, self.senior_mask_fusion),
        }


@dataclass(frozen=True)
class Teachers:
    """A recipe's teachers.

    Args:
        loaded: what their files hold, by role.
        codec: what their heatmaps mean, as files and caches say it, to be decoded by ``peak``; None where none
            does.
        skeleton: the data's keypoints.
        caches: those that are read in place of running a teacher, by role.
    """

    loaded: Mapping[str, LoadedNetwork]
    codec: Codec | None
    skeleton: Skeleton
    caches: Mapping[str, RoleCache] = field(default_factory=dict)

    @cached_property
    def networks(self) -> dict[str, MaskAwareTeacher]:
        """Those whose files are given, by role."""
        return {role: MaskAwareTeacher(role, loaded.network) for role, loaded in self.loaded.items()}

    @cached_property
    def by_role(self) -> dict[str, Teacher]:
        """What the student learns from."""
        return {**self.networks, **{role: one.teacher(self.skeleton) for role, one in self.caches.items()}}

    @property
    def warped(self) -> bool:
        """Whether one is a canonical cache, whose heatmaps are warped to each view."""
        return any(one.cache.canonical for one in self.caches.values())

    @property
    def live(self) -> dict[str, MaskAwareTeacher]:
        """Those that are run while the student learns."""
        return {role: teacher for role, teacher in self.networks.items() if role not in self.caches}

    @property
    def absent(self) -> tuple[str, ...]:
        """The roles of those of which there is only a cache."""
        return tuple(role for role in self.caches if role not in self.loaded)

    @property
    def masks_seen(self) -> bool:
        """Whether one reads masks, or did so when its cache was made."""
        return _read_masks(self.networks.values()) or _read_masks(self.caches.values())

    @property
    def masks_evaluated(self) -> bool:
        """Whether one that can be evaluated reads masks."""
        return _read_masks(self.networks.values())

    @property
    def masks_learned_from(self) -> bool:
        """Whether one reads masks while the student learns."""
        return _read_masks(self.live.values())

    @property
    def silent(self) -> tuple[str, ...]:
        """The roles of those whose files name no codec."""
        return tuple(role for role, loaded in self.loaded.items() if loaded.codec is None)

    @property
    def decoders(self) -> dict[str, Decoder]:
        """How each is decoded, by role, where its file says it: discs by ``centroid``, Gaussians by ``peak``."""
        said = {
            **{role: one.codec for role, one in self.caches.items()},
            **{role: loaded.codec for role, loaded in self.loaded.items()},
        }
        return {role: codec.decoder for role, codec in said.items() if codec is not None}

    def disagreement(self, curriculum: Curriculum) -> str | None:
        """A line that says that a student learns discs and Gaussians at once; None where it does not."""
        as_they_are = {
            objective.teacher.name
            for stage in curriculum
            for objective in stage.objectives
            if isinstance(objective, Distill) and not recipes.binarizes(objective.transform)
        }
        shown = {role: decoder for role, decoder in self.decoders.items() if role in as_they_are}
        if len(set(shown.values())) < 2:
            return self._beside_the_truth(curriculum)
        shapes = {"centroid": "discs", "peak": "Gaussians"}
        told = ", ".join(f"the {role} {shapes[decoder]}" for role, decoder in shown.items())
        return (
            f"the teachers' heatmaps differ in shape, as their files' decoders say: {told}; a student cannot "
            "match both at once"
        )

    def _beside_the_truth(self, curriculum: Curriculum) -> str | None:
        discs = [role for role, decoder in self.decoders.items() if decoder == "centroid"]
        if not (torn := torn_between_discs(curriculum, discs)):
            return None
        return (
            f"the {' and the '.join(torn)} learned discs, as the file says, and the ground truth is Gaussians: a "
            f"student cannot match both at once; binarize both, as --loss bce does, or learn from teachers of "
            f"train --loss mse"
        )

    @property
    def exchanged(self) -> str | None:
        """A line that says that the primary reads masks and the senior none; None where it is not so."""
        readers: dict[str, MaskAwareTeacher | RoleCache] = {**self.networks, **self.caches}
        if not {"primary", "senior"} <= readers.keys():
            return None
        primary, senior = (_read_masks([readers[role]]) for role in ("primary", "senior"))
        if not primary or senior:
            return None
        return "the primary teacher reads masks and the senior reads none: are their files exchanged?"

    def student_decoder(self, curriculum: Curriculum) -> Decoder:
        """Return how to decode the student: ``centroid`` if its last stage teaches discs, else ``peak``.

        Discs come from binarized targets, see :func:`kdkit_pose.recipes.decoder_for`, or from a teacher that
        learned from such, whose file says ``centroid``.
        """
        imitated = list(curriculum)[-1].teachers
        discs = any(self.decoders.get(teacher.name) == "centroid" for teacher in imitated)
        return "centroid" if discs else recipes.decoder_for(curriculum)

    def codec_for(self, name: str | None, input_size: str | None, sigma: float | None) -> ChosenCodec:
        """Return the codec of the teachers' heatmaps; where no file says it, as the first one's is guessed.

        Raises:
            ConfigurationError: if the options contradict what the files say.
        """
        if self.codec is None and self.loaded:
            return choose_codec(next(iter(self.loaded.values())), name, input_size, sigma)
        codec = build_codec(name, input_size, sigma, known=self.codec)
        if self.codec is not None and codec != self.codec:
            raise ConfigurationError(
                f"the teachers were trained for {self.codec}, the options ask for {codec}: their heatmaps would "
                f"mean something else; leave --codec, --input-size and --sigma out"
            )
        return ChosenCodec(codec, "taken as the other teacher's")


def open_caches(recipe: str, folders: Mapping[str, Path]) -> dict[str, RoleCache]:
    """Return the caches of the recipe's teachers, by role.

    Raises:
        CacheError: if one cannot be used.
        ConfigurationError: if one holds no heatmaps.
    """
    return {role: RoleCache(role, folders[role]) for role in ROLES[recipe] if role in folders}


def load_teachers(
    recipe: str,
    files: Mapping[str, TeacherFile],
    skeleton: Skeleton,
    data: str,
    caches: Mapping[str, RoleCache] | None = None,
) -> Teachers:
    """Return the recipe's teachers.

    Args:
        recipe: the recipe's name.
        files: by role, of all roles.
        skeleton: the data's keypoints, which the teachers must predict.
        data: how to call the data in an error.
        caches: those that are read in place of running a teacher, by role; its file may then be left out.

    Raises:
        CheckpointError: if a file cannot be used.
        ConfigurationError: if one is missing, predicts other keypoints, or they were trained for different
            codecs.
    """
    found: dict[str, LoadedNetwork] = {}
    known: Codec | None = None
    for role in ROLES[recipe]:
        file, cache = files[role], (caches or {}).get(role)
        if file.path is None and cache is None:
            raise ConfigurationError(
                f"recipe '{recipe}' learns from a {role} teacher: give --{role}, or --{role}-cache"
            )
        said: Codec | None = None
        if cache is not None:
            cache.check_skeleton(skeleton, data)
            said = cache.codec
        if file.path is not None:
            found[role] = load_network(file.path, file.model, file.mask_fusion, f"--{role}-model")
            check_skeleton(found[role], skeleton, data)
            said = found[role].codec or said
        # Discs and Gaussians of one convention can be imitated one after the other; `decoders` tells them apart.
        codec = replace(said, decoder="peak") if said is not None else None
        if known is not None and codec is not None and codec != known:
            raise ConfigurationError(
                f"the teachers were trained for different codecs, {known} and {codec}: a student can imitate "
                f"both only if their heatmaps mean the same"
            )
        known = known or codec
    return Teachers(found, known, skeleton, dict(caches or {}))


def _read_masks(readers: Iterable[MaskAwareTeacher | RoleCache]) -> bool:
    return any("mask" in reader.reads for reader in readers)
