"""A recipe's teachers from options."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kdkit import ConfigurationError
from kdkit_pose.cli.curriculum import ROLES
from kdkit_pose.cli.loading import LoadedNetwork, check_skeleton, load_network
from kdkit_pose.cli.options import build_codec
from kdkit_pose.codecs import Codec
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class TeacherFile:
    """What the options say of one teacher: its file and, where the file does not say it, its network."""

    path: Path | None
    model: str | None = None
    mask_fusion: str = "none"


@dataclass(frozen=True)
class Teachers:
    """A recipe's teachers.

    Args:
        loaded: what their files hold, by role.
        codec: what their heatmaps mean, as their files say it; None where none does.
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

    def codec_for(self, name: str | None, input_size: str | None, sigma: float | None) -> Codec:
        """Return the codec of the teachers' heatmaps.

        Raises:
            ConfigurationError: if the options contradict what the files say.
        """
        codec = build_codec(name, input_size, sigma, known=self.codec)
        if self.codec is not None and codec != self.codec:
            raise ConfigurationError(
                f"the teachers were trained for {self.codec}, the options ask for {codec}: their heatmaps would "
                f"mean something else; leave --codec, --input-size and --sigma out"
            )
        return codec


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
        # How a teacher is decoded is its own affair: the student imitates its heatmaps.
        codec = replace(loaded.codec, decoder="peak") if loaded.codec is not None else None
        if known is not None and codec is not None and codec != known:
            raise ConfigurationError(
                f"the teachers were trained for different codecs, {known} and {codec}: a student can imitate "
                f"both only if their heatmaps mean the same"
            )
        known = known or codec
        found[role] = loaded
    return Teachers(found, known)
