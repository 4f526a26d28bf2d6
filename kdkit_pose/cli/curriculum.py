"""Recipes' curricula from options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from kdkit import Condition, ConfigurationError, Curriculum, Epochs, Plateau, Schedule, Teacher
from kdkit_pose import recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.loss_choice import LossName

ROLES = {
    "odkd": ("primary", "senior"),
    "reversed_order": ("primary", "senior"),
    "joint": ("primary", "senior"),
    "primary_only": ("primary",),
    "fpd": ("primary",),
    "senior_only": ("senior",),
    "supervised": (),
}
"""The teachers that each recipe learns from."""


_TWO_STAGES = ("odkd", "reversed_order")


class Binarized(StrEnum):
    """Which targets are binarized."""

    none = "none"
    truth = "truth"
    teacher = "teacher"
    both = "both"


@dataclass(frozen=True)
class Course:
    """A recipe's options."""

    epochs: options.Epochs = 210
    switch_epoch: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the first of two stages; half of --epochs by default.")
    ] = None
    plateau: Annotated[
        int | None,
        typer.Option(min=1, help="End a stage early when val/AP has not improved for so many evaluations."),
    ] = None
    alpha: Annotated[float, typer.Option(help="The teacher's share of the loss, 0 to 1.")] = 0.5
    binarize: Annotated[
        Binarized | None,
        typer.Option(
            help="Targets to binarize: of bce in every stage, by default both; of mse in the last one, by default "
            "the recipe's own."
        ),
    ] = None
    threshold: Annotated[float, typer.Option(help="Of the binarization, above 0 and up to 1.")] = 0.5

    def check(self, recipe: str) -> None:
        """Refuse options that are of no use to a recipe.

        Raises:
            ConfigurationError: if one is.
        """
        if self.switch_epoch is not None and recipe not in _TWO_STAGES:
            raise ConfigurationError(f"recipe '{recipe}' has one stage: leave out --switch-epoch")
        if self.binarize is not None and recipe == "fpd":
            raise ConfigurationError("recipe 'fpd' binarizes nothing: leave out --binarize, or take primary_only")
        if self.binarize in ("teacher", "both") and recipe == "supervised":
            raise ConfigurationError("recipe 'supervised' has no teacher: --binarize truth, or none")

    def to_config(self) -> dict[str, Any]:
        """Return what names a run."""
        return {
            "epochs": self.epochs,
            "switch_epoch": self.switch_epoch,
            "plateau": self.plateau,
            "alpha": self.alpha,
            "binarize": self.binarize.value if self.binarize else None,
            "threshold": self.threshold,
        }


def build_curriculum(
    recipe: str,
    teachers: Mapping[str, Teacher],
    course: Course,
    *,
    loss: LossName,
    learning_rate: Schedule,
    outputs: Sequence[str] = ("heatmap",),
    unlabelled: bool = False,
) -> Curriculum:
    """Return a recipe's curriculum with the options' values.

    Args:
        recipe: its name.
        teachers: its teachers, by role.
        course: the options.
        loss: what is learned by; of fpd it is mse.
        learning_rate: over the run.
        outputs: the student's heatmaps.
        unlabelled: whether there are persons whom only the teachers teach.

    Raises:
        ConfigurationError: if a stage would be left without an epoch, or an option is of no use to the recipe.
    """
    course.check(recipe)
    arguments: dict[str, object] = {"learning_rate": learning_rate, "outputs": outputs}
    arguments |= _lengths(recipe, course) | _binarization(recipe, course, loss)
    if recipe != "supervised":
        arguments |= {"alpha": course.alpha, "teacher_region": None if unlabelled else "visible"}
    elif unlabelled:
        raise ConfigurationError("recipe 'supervised' has no teacher, and nobody else teaches unlabelled persons")
    build = getattr(recipes, recipe)
    curriculum: Curriculum = build(*(teachers[role] for role in ROLES[recipe]), **arguments)
    return curriculum


def _lengths(recipe: str, course: Course) -> dict[str, object]:
    """How long each stage lasts, as the recipe's arguments."""
    if recipe not in _TWO_STAGES:
        return {"until": _until(course.epochs, course.plateau)}
    first = course.switch_epoch if course.switch_epoch is not None else course.epochs // 2
    if not 0 < first < course.epochs:
        raise ConfigurationError(
            f"recipe '{recipe}' has two stages, and switches after epoch {first} of {course.epochs}: each needs "
            f"one at least; see --epochs and --switch-epoch"
        )
    earlier, later = _order(recipe)
    return {
        f"{earlier}_until": _until(first, course.plateau),
        f"{later}_until": _until(course.epochs - first, course.plateau),
    }


def _binarization(recipe: str, course: Course, loss: LossName) -> dict[str, object]:
    """What is learned by, and what is binarized where and how, as the recipe's arguments."""
    if recipe == "fpd":
        return {}
    arguments: dict[str, object] = {"threshold": course.threshold, "loss": loss.function}
    if course.binarize is None:
        return arguments
    if recipe == "supervised":
        return arguments | {"binarized": course.binarize == "truth"}
    if recipe not in _TWO_STAGES:
        return arguments | {"binarized": course.binarize.value}
    # By squared error discs are for the end: an under-trained student learns less from them.
    stages = _order(recipe) if loss is LossName.bce else _order(recipe)[1:]
    return arguments | {f"{stage}_binarized": course.binarize.value for stage in stages}


def _order(recipe: str) -> tuple[str, ...]:
    """The roles in the order of the stages."""
    return ROLES[recipe] if recipe == "odkd" else ROLES[recipe][::-1]


def _until(epochs: int, plateau: int | None) -> Condition:
    return Epochs(epochs) if plateau is None else Epochs(epochs) | Plateau("val/AP", patience=plateau)
