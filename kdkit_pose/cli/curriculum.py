"""Recipes' curricula from options."""

from collections.abc import Sequence

from kdkit import Condition, ConfigurationError, Curriculum, Epochs, Plateau, Schedule
from kdkit_pose import recipes
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher

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


def build_curriculum(
    recipe: str,
    teachers: dict[str, MaskAwareTeacher],
    *,
    epochs: int,
    switch_epoch: int | None,
    plateau: int | None,
    alpha: float,
    binarize: str | None,
    threshold: float,
    learning_rate: Schedule,
    outputs: Sequence[str] = ("heatmap",),
    unlabelled: bool = False,
) -> Curriculum:
    """Return a recipe's curriculum with the options' values.

    Args:
        outputs: the student's heatmaps.
        unlabelled: whether there are persons whom only the teachers teach.

    Raises:
        ConfigurationError: if a stage would be left without an epoch, or an option is of no use to the recipe.
    """
    roles = ROLES[recipe]
    if switch_epoch is not None and recipe not in ("odkd", "reversed_order"):
        raise ConfigurationError(f"recipe '{recipe}' has one stage: leave out --switch-epoch")
    if binarize is not None and recipe == "fpd":
        raise ConfigurationError("recipe 'fpd' binarizes nothing: leave out --binarize, or take primary_only")
    if binarize in ("teacher", "both") and recipe == "supervised":
        raise ConfigurationError("recipe 'supervised' has no teacher: --binarize truth, or none")
    build = getattr(recipes, recipe)
    arguments: dict[str, object] = {"learning_rate": learning_rate}
    if recipe in ("odkd", "reversed_order"):
        first = switch_epoch if switch_epoch is not None else epochs // 2
        if not 0 < first < epochs:
            raise ConfigurationError(
                f"recipe '{recipe}' has two stages, and switches after epoch {first} of {epochs}: each needs one "
                f"at least; see --epochs and --switch-epoch"
            )
        order = roles if recipe == "odkd" else roles[::-1]
        arguments[f"{order[0]}_until"] = _until(first, plateau)
        arguments[f"{order[1]}_until"] = _until(epochs - first, plateau)
        if binarize is not None:
            arguments[f"{order[1]}_binarized"] = binarize
    else:
        arguments["until"] = _until(epochs, plateau)
        if binarize is not None and recipe == "supervised":
            arguments["binarized"] = binarize == "truth"
        elif binarize is not None:
            arguments["binarized"] = binarize
    arguments["outputs"] = outputs
    if recipe != "supervised":
        arguments |= {"alpha": alpha, "teacher_region": None if unlabelled else "visible"}
    elif unlabelled:
        raise ConfigurationError("recipe 'supervised' has no teacher, and nobody else teaches unlabelled persons")
    if recipe != "fpd":
        arguments["threshold"] = threshold
    curriculum: Curriculum = build(*(teachers[role] for role in roles), **arguments)
    return curriculum


def _until(epochs: int, plateau: int | None) -> Condition:
    return Epochs(epochs) if plateau is None else Epochs(epochs) | Plateau("val/AP", patience=plateau)
