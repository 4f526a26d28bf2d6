"""The teachers of a study of one's own, as the command line's options give them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from kdkit import ConfigurationError, Constant, Teacher
from kdkit_pose.ablation import Plan, PoseRow, roles_of, rows_named
from kdkit_pose.cli.codec_choice import choose_codec
from kdkit_pose.cli.loading import LoadedNetwork, load_network
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.mixed_shapes import torn_between_discs

OPTIONS = ("primary", "senior", "blind")


@dataclass(frozen=True)
class OwnTeachers:
    """Teachers of one's own, which rows learn from.

    Attributes:
        rows: those that learn from them, by name.
        loaded: what the files hold, by role; one file serves the roles of either loss.
        teachers: the same, as rows take them.
    """

    rows: Mapping[str, PoseRow]
    loaded: Mapping[str, LoadedNetwork]
    teachers: Mapping[str, Teacher]

    @property
    def reading(self) -> set[str]:
        """The options whose networks read masks."""
        return {_option(role) for role, teacher in self.teachers.items() if "mask" in teacher.reads}

    @property
    def disagreement(self) -> str | None:
        """A line that names rows that learn Gaussians of the truth and discs of teachers, or None."""
        plan = Plan(self.teachers, 8, Constant(1e-3))  # of whatever length, stages learn the same
        discs = {role for role, one in self.loaded.items() if one.network.activation == "sigmoid"}
        found = {name: torn_between_discs(row.curriculum(plan), discs) for name, row in self.rows.items()}
        torn = [name for name, roles in found.items() if roles]
        if not torn:
            return None
        # Each role once, by its option, of which there is one for teachers of either loss.
        learned = {_option(role): None for roles in found.values() for role in roles}
        return (
            f"{' and '.join(f'--{option}' for option in learned)} learned discs by cross-entropy, and "
            f"{', '.join(torn)} learn Gaussians of the ground truth: a student cannot match both; take rows that "
            f"binarize it, as --rows core_bce has them, or teachers of train --loss mse"
        )


def load_own_teachers(names: Sequence[str], files: Mapping[str, Path]) -> OwnTeachers:
    """Load the teachers that rows learn from.

    Args:
        names: the rows'.
        files: theirs, by option.

    Raises:
        ConfigurationError: if one is missing, of no use, or none of those that the rows are made for.
        CheckpointError: if a file cannot be used.
    """
    options = {role: _option(role) for role in roles_of(names)}
    needed = tuple(dict.fromkeys(options.values()))
    if missing := [option for option in needed if option not in files]:
        told = ", ".join(f"--{option}" if option in OPTIONS else option for option in missing)
        raise ConfigurationError(
            f"the rows learn from teachers that are not given: {told}; give them, or other --rows"
        )
    if unused := [f"--{option}" for option in files if option not in needed]:
        raise ConfigurationError(
            f"{' and '.join(unused)} would change nothing: no row learns from it; leave it out"
        )
    opened = {option: load_network(files[option], None, "none", f"--{option}") for option in needed}
    loaded = {role: opened[option] for role, option in options.items()}
    teachers = {role: MaskAwareTeacher(role, one.network) for role, one in loaded.items()}
    own = OwnTeachers(rows_named(names), loaded, teachers)
    _require_probabilities(own)
    if "blind" in own.reading:
        raise ConfigurationError(
            f"--blind '{files['blind']}' holds a network that reads masks, and its rows say what a teacher is "
            f"worth that sees none: give one that train made without --mask-fusion"
        )
    return own


def codec_of(loaded: Mapping[str, LoadedNetwork], console: Console) -> Codec:
    """Return what all teachers' heatmaps mean; DARK at 256x192 where there is no teacher.

    Files that say it decide. Where none does it is guessed; what no file says is shown on the console.

    Raises:
        ConfigurationError: if they mean different things.
    """
    if not loaded:
        return DARK()
    chosen = {role: choose_codec(one, None, None, None) for role, one in loaded.items()}
    silent = [role for role, one in loaded.items() if one.codec is None]
    deciding = [role for role in loaded if role not in silent] or silent
    codec = replace(chosen[deciding[0]].codec, decoder="peak")
    for role in deciding:
        if not chosen[role].codec.same_convention(codec):
            raise ConfigurationError(
                f"the heatmaps of {deciding[0]} are {codec}, and those of {role} {chosen[role].codec}: they mean "
                f"different things; give teachers of one codec, input size and sigma"
            )
    for role in silent:
        how = chosen[role].how if deciding == silent else "taken as the other teacher's"
        console.print(f"{role}'s heatmaps: {codec} ({how})", markup=False)
    return codec


def _option(role: str) -> str:
    """The option that gives a role's file, of which there is one for teachers of either loss."""
    return role.removesuffix("_bce")


def _require_probabilities(own: OwnTeachers) -> None:
    """Require teachers that learned by cross-entropy where rows say so.

    Raises:
        ConfigurationError: naming the options and the rows.
    """
    others = [
        role for role, one in own.loaded.items() if role.endswith("_bce") and one.network.activation == "none"
    ]
    if not others:
        return
    wanting = [name for name, row in own.rows.items() if set(others) & set(row.teachers)]
    raise ConfigurationError(
        f"{', '.join(wanting)} learn from teachers that learned by cross-entropy, and "
        f"{' and '.join(f'--{_option(role)}' for role in others)} did not: give others, as train --loss bce makes "
        f"them (from such a file by --pretrained), or take binary_bce, which binarizes what they give"
    )
