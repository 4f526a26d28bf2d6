"""A recipe's teachers from options."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from kdkit import ConfigurationError, Curriculum
from kdkit_pose import recipes
from kdkit_pose.cli.codec_choice import ChosenCodec, choose_codec
from kdkit_pose.cli.curriculum import ROLES
from kdkit_pose.cli.loading import LoadedNetwork, check_skeleton, load_network
from kdkit_pose.cli.options import build_codec
from kdkit_pose.codecs import Codec, Decoder
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
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
        codec: what their heatmaps mean, as their files say it, to be decoded by ``peak``; None where none does.
    """

    loaded: Mapping[str, LoadedNetwork]
    codec: Codec | None

    @property
    def by_role(self) -> dict[str, MaskAwareTeacher]:
        """The teachers themselves."""
        return {role: MaskAwareTeacher(role, loaded.network) for role, loaded in self.loaded.items()}

    @property
    def silent(self) -> tuple[str, ...]:
        """The roles of those whose files name no codec."""
        return tuple(role for role, loaded in self.loaded.items() if loaded.codec is None)

    @property
    def decoders(self) -> dict[str, Decoder]:
        """How each is decoded, by role, where its file says it: discs by ``centroid``, Gaussians by ``peak``."""
        return {role: loaded.codec.decoder for role, loaded in self.loaded.items() if loaded.codec is not None}

    @property
    def disagreement(self) -> str | None:
        """A line that says that some show discs and some Gaussians; None where all show the same."""
        if len(set(self.decoders.values())) < 2:
            return None
        shapes = {"centroid": "discs", "peak": "Gaussians"}
        told = ", ".join(f"the {role} {shapes[decoder]}" for role, decoder in self.decoders.items())
        return (
            f"the teachers' heatmaps differ in shape, as their files' decoders say: {told}; a student cannot "
            "match both at once"
        )

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


def load_teachers(recipe: str, files: Mapping[str, TeacherFile], skeleton: Skeleton, data: str) -> Teachers:
    """Return the recipe's teachers.

    Args:
        recipe: the recipe's name.
        files: by role, of all roles.
        skeleton: the data's keypoints, which the teachers must predict.
        data: how to call the data in an error.

    Raises:
        CheckpointError: if a file cannot be used.
        ConfigurationError: if one is missing, predicts other keypoints, or they were trained for different
            codecs.
    """
    found: dict[str, LoadedNetwork] = {}
    known: Codec | None = None
    for role in ROLES[recipe]:
        file = files[role]
        if file.path is None:
            raise ConfigurationError(f"recipe '{recipe}' learns from a {role} teacher: give --{role}")
        loaded = load_network(file.path, file.model, file.mask_fusion, f"--{role}-model")
        check_skeleton(loaded, skeleton, data)
        # Discs and Gaussians of one convention can be imitated one after the other; `decoders` tells them apart.
        codec = replace(loaded.codec, decoder="peak") if loaded.codec is not None else None
        if known is not None and codec is not None and codec != known:
            raise ConfigurationError(
                f"the teachers were trained for different codecs, {known} and {codec}: a student can imitate "
                f"both only if their heatmaps mean the same"
            )
        known = known or codec
        found[role] = loaded
    return Teachers(found, known)
