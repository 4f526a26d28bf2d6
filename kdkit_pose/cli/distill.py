"""``kdkit-pose distill``."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from kdkit import Condition, ConfigurationError, Curriculum, Epochs, Plateau, Schedule
from kdkit_pose import models, recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import training_data, validation
from kdkit_pose.cli.loading import describe_file, load_network
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.show import describe_data, show_result
from kdkit_pose.codecs import Codec
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.teacher_check import check_teachers

Recipe = StrEnum("Recipe", {name: name for name in recipes.NAMES})  # type: ignore[misc]

DEFAULT_RECIPE = Recipe("odkd")


class Binarized(StrEnum):
    """Which targets are binarized."""

    none = "none"
    truth = "truth"
    teacher = "teacher"
    both = "both"


ROLES = {
    "odkd": ("primary", "senior"),
    "reversed_order": ("primary", "senior"),
    "joint": ("primary", "senior"),
    "primary_only": ("primary",),
    "fpd": ("primary",),
    "senior_only": ("senior",),
    "supervised": (),
}


def distill(
    student: Annotated[str, typer.Option(help=f"The student: {', '.join(models.names())}.")],
    train_annotations: options.TrainAnnotations,
    images: options.Images,
    out: options.Out,
    recipe: Annotated[Recipe, typer.Option(help="The curriculum.")] = DEFAULT_RECIPE,
    primary: Annotated[
        Path | None, typer.Option(help="The primary teacher's file (of fpd: the teacher's).")
    ] = None,
    senior: Annotated[Path | None, typer.Option(help="The senior teacher's file.")] = None,
    primary_model: Annotated[str | None, typer.Option(help="Its network, where the file does not say it.")] = None,
    senior_model: Annotated[str | None, typer.Option(help="Its network, where the file does not say it.")] = None,
    senior_mask_fusion: Annotated[str, typer.Option(help="With --senior-model: how its mask enters.")] = "none",
    val_annotations: options.ValAnnotations = None,
    val_images: options.ValImages = None,
    teacher_floor: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Stop if a teacher's val/AP, 0 to 1, is below this."),
    ] = None,
    allow_weak_teachers: Annotated[bool, typer.Option(help="Go on with teachers below the floor.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for the student to start from.")] = None,
    codec: options.CodecName = None,
    input_size: options.InputSize = None,
    sigma: options.Sigma = None,
    epochs: options.Epochs = 210,
    switch_epoch: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the first of two stages; half of --epochs by default.")
    ] = None,
    plateau: Annotated[
        int | None,
        typer.Option(min=1, help="End a stage early when val/AP has not improved for so many evaluations."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="The teacher's share of the loss, 0 to 1.")] = 0.5,
    binarize: Annotated[
        Binarized | None, typer.Option(help="Targets to binarize in the last stage; the recipe's own by default.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Of the binarization, above 0 and up to 1.")] = 0.5,
    batch_size: options.BatchSize = 32,
    learning_rate: options.LearningRate = 1e-3,
    schedule: options.ScheduleName = options.Rate.step,
    augment: options.Augmentation = True,
    evaluate_every: options.EvaluateEvery = 10,
    export: options.ExportOption = options.Export.best,
    ema: options.Ema = None,
    precision: options.PrecisionOption = options.Precision.no,
    workers: options.Workers = 0,
    tensorboard: options.TensorBoard = False,
    seed: options.Seed = 0,
) -> None:
    """Distil a student from its teachers by a recipe.

    \b
    Example:
      kdkit-pose distill --recipe odkd --student hrnet_w16 --out runs/odkd \\
        --primary runs/w32/student.safetensors \\
        --senior runs/w48-mask/student.safetensors \\
        --train-annotations person_keypoints_train2017.json --images train2017 \\
        --val-annotations person_keypoints_val2017.json --val-images val2017
    """
    console = Console()
    files = {"primary": (primary, primary_model, "none"), "senior": (senior, senior_model, senior_mask_fusion)}
    teachers, known = _load_teachers(recipe.value, files)
    settings = FitSettings(
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule.value,
        workers=workers,
        precision=precision.value,
        ema=ema,
        seed=seed,
        evaluate_every=evaluate_every,
        export=export.value,
        tensorboard=tensorboard,
    )
    if plateau is not None and val_annotations is None:
        raise ConfigurationError("--plateau watches val/AP: give --val-annotations")
    if teacher_floor is not None and val_annotations is None:
        raise ConfigurationError("--teacher-floor evaluates the teachers: give --val-annotations")
    curriculum = build_curriculum(
        recipe.value,
        teachers,
        epochs=epochs,
        switch_epoch=switch_epoch,
        plateau=plateau,
        alpha=alpha,
        binarize=binarize.value if binarize else None,
        threshold=threshold,
        learning_rate=settings.rate(),
    )
    taught = _teachers_codec(codec, input_size, sigma, known)
    learned = replace(taught, decoder=recipes.decoder_for(curriculum))
    masks = any("mask" in teacher.reads for teacher in teachers.values())
    torch.manual_seed(seed)
    network = models.create(student)
    if checkpoint is not None:
        console.print(str(models.load_checkpoint(network, checkpoint)), highlight=False, soft_wrap=True)
    data = training_data(train_annotations, images, taught, augment=augment, masks=masks, seed=seed)
    console.print(describe_data(data, "training persons"), highlight=False, soft_wrap=True)
    # Last of all that may go wrong, since it takes longest.
    if (watch := validation(val_annotations, val_images or images, taught, masks=masks)) is not None:
        check_teachers(
            teachers,
            watch,
            floor=teacher_floor,
            allow_weak=allow_weak_teachers,
            say=lambda line: console.print(line, highlight=False, soft_wrap=True),
        )
    elif teachers:
        console.print("no --val-annotations: the teachers are not checked", highlight=False)
    result = fit(
        network,
        curriculum,
        data,
        out,
        settings,
        evaluator=validation(val_annotations, val_images or images, learned, masks=False),
        codec=learned,
        config={
            "recipe": recipe.value,
            "teachers": {name: describe_file(path) for name in teachers if (path := files[name][0])},
            "train_annotations": str(train_annotations),
            "images": str(images),
            "checkpoint": str(checkpoint) if checkpoint else None,
        },
    )
    show_result(result, console)


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
) -> Curriculum:
    """Return a recipe's curriculum with the options' values.

    Raises:
        ConfigurationError: if a stage would be left without an epoch.
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
    if recipe != "supervised":
        arguments["alpha"] = alpha
    if recipe != "fpd":
        arguments["threshold"] = threshold
    curriculum: Curriculum = build(*(teachers[role] for role in roles), **arguments)
    return curriculum


def _teachers_codec(name: str | None, input_size: str | None, sigma: float | None, known: Codec | None) -> Codec:
    """Return the codec of the teachers' heatmaps; options may not contradict what their files say."""
    codec = build_codec(name, input_size, sigma, known=known)
    if known is not None and codec != known:
        raise ConfigurationError(
            f"the teachers were trained for {known}, the options ask for {codec}: their heatmaps would mean "
            f"something else; leave --codec, --input-size and --sigma out"
        )
    return codec


def _until(epochs: int, plateau: int | None) -> Condition:
    return Epochs(epochs) if plateau is None else Epochs(epochs) | Plateau("val/AP", patience=plateau)


def _load_teachers(
    recipe: str, files: dict[str, tuple[Path | None, str | None, str]]
) -> tuple[dict[str, MaskAwareTeacher], Codec | None]:
    """Return the recipe's teachers, and the codec that their files agree on."""
    teachers: dict[str, MaskAwareTeacher] = {}
    known: Codec | None = None
    for role in ROLES[recipe]:
        path, model, fusion = files[role]
        if path is None:
            raise ConfigurationError(f"recipe '{recipe}' learns from a {role} teacher: give --{role}")
        network, codec = load_network(path, model, fusion, f"--{role}-model")
        # How a teacher is decoded is its own affair: the student imitates its heatmaps.
        codec = replace(codec, decoder="peak") if codec is not None else None
        if known is not None and codec is not None and codec != known:
            raise ConfigurationError(
                f"the teachers were trained for different codecs, {known} and {codec}: a student can imitate "
                f"both only if their heatmaps mean the same"
            )
        known = known or codec
        teachers[role] = MaskAwareTeacher(role, network)
    return teachers, known
