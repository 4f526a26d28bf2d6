"""``kdkit-pose distill``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from kdkit import ConfigurationError, Curriculum, Teacher
from kdkit_pose import models, recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.another_run import options_named
from kdkit_pose.cli.codec_choice import starting_codec
from kdkit_pose.cli.curriculum import ROLES, Course, build_curriculum
from kdkit_pose.cli.cut_persons import refuse_with_cut
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.dry_run import rehearse
from kdkit_pose.cli.fast import FastTeachers, make_fast
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.loading import content_of_file, skeleton_in
from kdkit_pose.cli.loss_choice import LossName, LossOption, loss_for
from kdkit_pose.cli.new_network import new_network
from kdkit_pose.cli.option_groups import (
    MASK_FILES,
    NEED_VALIDATION,
    NO_MASKS,
    CodecChoice,
    DataFiles,
    Fitting,
    UnlabelledPersons,
)
from kdkit_pose.cli.show import show_result
from kdkit_pose.cli.teacher_caches import RoleCache, TeacherCaches, describe_views
from kdkit_pose.cli.teachers import TeacherFiles, Teachers, load_teachers, open_caches
from kdkit_pose.cli.training_data import TrainingData, describe_run, load_data, places
from kdkit_pose.codecs import Codec
from kdkit_pose.data import PoseDataset
from kdkit_pose.data.maskless import without_masks
from kdkit_pose.fit import FitSettings, check_run_folder, fit
from kdkit_pose.skeleton import Skeleton
from kdkit_pose.teacher_check import check_teachers

Recipe = StrEnum("Recipe", {name: name for name in recipes.NAMES})  # type: ignore[misc]

DEFAULT_RECIPE = Recipe("odkd")


@dataclass(frozen=True)
class TeacherFloor:
    """How good the teachers must be."""

    teacher_floor: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Stop if a teacher's val/AP, 0 to 1, is below this."),
    ] = None
    allow_weak_teachers: Annotated[bool, typer.Option(help="Go on with teachers below the floor.")] = False


@grouped
def distill(
    context: typer.Context,
    *,
    student: Annotated[str, typer.Option(help=f"The student: {', '.join(models.names())}.")],
    recipe: Annotated[Recipe, typer.Option(help="The curriculum.")] = DEFAULT_RECIPE,
    teacher_files: TeacherFiles,
    cache_folders: TeacherCaches,
    files: DataFiles,
    out: options.Out,
    unlabelled: UnlabelledPersons,
    floor: TeacherFloor,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for the student to start from.")] = None,
    pretrained: options.Pretrained = None,
    fast_teachers: FastTeachers = False,
    loss: LossOption = None,
    choice: CodecChoice,
    course: Course,
    fitting: Fitting,
    dry_run: options.DryRun = False,
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
    console = Console(highlight=False, soft_wrap=True)
    _require_sense(context, recipe.value, course, floor, files, unlabelled)
    settings = fitting.settings
    caches = open_caches(recipe.value, cache_folders.by_role)
    body = _skeleton(files, teacher_files, caches, checkpoint)
    teachers = _teachers(recipe.value, teacher_files, caches, body, f"'{files.train_annotations}'", console)
    _require_use(context, recipe.value, teachers, floor)
    learned_by = _loss(recipe.value, loss, checkpoint)
    console.print(f"learns by: {learned_by.said(checkpoint)}", markup=False)
    network = new_network(
        *(student, body, fitting.seed, console),
        activation=learned_by.activation,
        checkpoint=checkpoint,
        pretrained=pretrained,
    )

    def curriculum_of(by_role: Mapping[str, Teacher]) -> Curriculum:
        return build_curriculum(
            *(recipe.value, by_role, course),
            loss=learned_by,
            learning_rate=settings.rate(),
            outputs=network.heatmap_outputs,
            unlabelled=unlabelled.any,
        )

    curriculum = curriculum_of(teachers.by_role)
    for doubt in filter(None, (teachers.disagreement(curriculum), teachers.exchanged)):
        console.print(f"warning: {doubt}", markup=False)
    for cache in caches.values():
        cache.check_transforms(curriculum)
    if not any(recipes.binarizes(one.transform) for stage in curriculum for one in stage.objectives):
        refuse(context, ["threshold"], "no target is binarized; leave it out, or see --binarize")
    taught, learned = _codecs(teachers, choice, checkpoint, curriculum, console)
    config = describe_run(
        *(files, learned, fitting),
        checkpoint=checkpoint,
        pretrained=pretrained,
        further={
            "recipe": recipe.value,
            **_described(teachers, fast_teachers),
            **unlabelled.to_config(),
            **course.to_config(),
            **learned_by.to_config(),
        },
    )
    with options_named(out, "--student"):
        check_run_folder(out, settings, {**config, "model": models.describe(network)})
        data = load_data(
            *(files, taught, body, fitting, console),
            masks=teachers.masks_seen,
            val_masks=teachers.masks_evaluated,
            reader="the senior teacher",
            unlabelled=unlabelled,
        )
        train = _training_persons(teachers, data, console)
        if fast_teachers:
            curriculum = curriculum_of({**teachers.by_role, **_fast(teachers, train, settings)})
        evaluator = data.evaluator
        run = (network, curriculum, train, out, settings)
        arguments: dict[str, Any] = {
            "evaluator": None if evaluator is None else evaluator.decoded_by(learned.decoder),
            "codec": learned,
            "config": {**config, **data.config},
        }
        if dry_run:
            exchanged = [teachers.exchanged] if teachers.exchanged else []
            rehearse(*run, console, data=data, teachers=teachers, problems=exchanged, **arguments)
            return
        result = fit(
            *run,
            **arguments,
            notes={
                "teachers": {role: str(one.report.path) for role, one in teachers.loaded.items()},
                "files": places(files, checkpoint=checkpoint, pretrained=pretrained, boxes=unlabelled.boxes),
            },
            # Late, since it takes long.
            before_training=_check_of(teachers, data, floor, console),
        )
    show_result(result, console)


def _loss(recipe: str, asked: LossName | None, checkpoint: Path | None) -> LossName:
    """Return what the student learns by.

    Raises:
        ConfigurationError: if it is not what the recipe, or the student's last layer, is made for.
    """
    if recipe != "fpd":
        return loss_for(asked, checkpoint)
    if asked is LossName.bce:
        raise ConfigurationError("recipe 'fpd' learns by mse: leave out --loss bce, or take primary_only")
    if checkpoint is not None and loss_for(None, checkpoint) is LossName.bce:
        raise ConfigurationError(
            f"recipe 'fpd' learns by mse, and the network of --checkpoint '{checkpoint}' ends with a sigmoid: "
            f"take primary_only, or other weights"
        )
    return LossName.mse


def _skeleton(
    files: DataFiles, teacher_files: TeacherFiles, caches: Mapping[str, RoleCache], checkpoint: Path | None
) -> Skeleton:
    """Return the data's keypoints, as options, the teachers' files, the student's or their caches say them."""
    known = skeleton_in(teacher_files.primary, teacher_files.senior, checkpoint)
    said = (cache.skeleton for cache in caches.values())
    known = known or next((skeleton for skeleton in said if skeleton is not None), None)
    return skeleton_of(files.train_annotations, files.skeleton, files.sigmas, known=known)


def _teachers(
    recipe: str,
    files: TeacherFiles,
    caches: Mapping[str, RoleCache],
    body: Skeleton,
    data: str,
    console: Console,
) -> Teachers:
    """Load the teachers, and say what was loaded."""
    teachers = load_teachers(recipe, files.by_role, body, data, caches)
    for role, loaded in teachers.loaded.items():
        console.print(f"teacher {role}: {loaded.report}", markup=False)
    for role, cached in caches.items():
        console.print(f"teacher {role}: read from '{cached.cache.path}', {cached.cache}", markup=False)
    if caches:
        console.print(describe_views(caches), markup=False)
    return teachers


def _require_use(context: typer.Context, recipe: str, teachers: Teachers, floor: TeacherFloor) -> None:
    """Refuse options that these teachers have no use for."""
    if not teachers.live:
        reason = "every teacher is read from its cache" if teachers.caches else f"recipe '{recipe}' has no teacher"
        refuse(context, ["fast_teachers"], f"{reason}; leave it out")
    if floor.teacher_floor is not None and teachers.absent:
        files = " and ".join(f"--{role} beside --{role}-cache" for role in teachers.absent)
        raise ConfigurationError(f"--teacher-floor evaluates every teacher: give {files}")
    if not teachers.masks_seen:
        refuse(context, MASK_FILES, NO_MASKS)
    if not teachers.masks_evaluated:
        refuse(context, ["val_predicted_masks"], "no network that is evaluated reads masks; leave it out")


def _codecs(
    teachers: Teachers,
    choice: CodecChoice,
    checkpoint: Path | None,
    curriculum: Curriculum,
    console: Console,
) -> tuple[Codec, Codec]:
    """Return the codec of the teachers' heatmaps, and the student's, which differs in the decoder; say both."""
    taught = _taught_codec(teachers, choice, checkpoint, console)
    learned = replace(taught, decoder=teachers.student_decoder(curriculum))
    if learned.decoder != taught.decoder:
        console.print(f"the student learns discs, and is decoded by {learned.decoder}", highlight=False)
    return taught, learned


def _taught_codec(teachers: Teachers, choice: CodecChoice, checkpoint: Path | None, console: Console) -> Codec:
    """Return the codec of the teachers' heatmaps, without any the student's, and say how it is known."""
    if not teachers.loaded and not teachers.caches:
        own = starting_codec(checkpoint, choice.codec, choice.input_size, choice.sigma)
        console.print(f"heatmaps: {own.codec} ({own.how})", markup=False)
        return own.codec
    taught = teachers.codec_for(choice.codec, choice.input_size, choice.sigma)
    console.print(f"heatmaps: {taught.codec}", markup=False)
    for role in teachers.silent:
        console.print(f"teacher {role}: its file names no codec; {taught.how}", markup=False)
    return taught.codec


def _described(teachers: Teachers, fast: bool) -> dict[str, Any]:
    """What a run's configuration says of its teachers."""
    told: dict[str, Any] = {
        "teachers": {role: content_of_file(one.report.path) for role, one in teachers.loaded.items()}
    }
    # Absent where there are none, as in the runs of before.
    if teachers.caches:
        told["caches"] = {role: one.to_config() for role, one in teachers.caches.items()}
    if fast:
        told["fast_teachers"] = True
    return told


def _fast(teachers: Teachers, train: PoseDataset, settings: FitSettings) -> dict[str, Teacher]:
    """Return the teachers that run, made fast for the persons they will see, by role."""
    device = torch.device("cuda" if torch.cuda.is_available() and not settings.cpu else "cpu")
    return {role: make_fast(one, train, settings.batch_size, device) for role, one in teachers.live.items()}


def _training_persons(teachers: Teachers, data: TrainingData, console: Console) -> PoseDataset:
    """Return the persons to learn from, once the caches are known to be of them; with masks if one is read."""
    for role, cache in teachers.caches.items():
        cache.check_source(teachers.networks.get(role), data.train)
    train = data.train
    if teachers.masks_seen and not teachers.masks_learned_from:
        console.print("masks: seen when the cache was made, not read again")
        train = without_masks(train)
    return train.placed() if teachers.warped else train


def _check_of(
    teachers: Teachers, data: TrainingData, floor: TeacherFloor, console: Console
) -> Callable[[], object]:
    """Return what evaluates the teachers, or says that nothing can."""
    evaluator = data.evaluator

    def check() -> None:
        for role in teachers.absent:
            console.print(f"teacher {role}: not checked, for there is only its cache; --{role} gives its file")
        if evaluator is not None:
            check_teachers(
                *(teachers.networks, evaluator),
                decoders=teachers.decoders,
                floor=floor.teacher_floor,
                allow_weak=floor.allow_weak_teachers,
                say=lambda line: console.print(line, markup=False),
            )
        elif teachers.loaded:
            console.print("no --val-annotations: the teachers are not checked")

    return check


def _require_sense(
    context: typer.Context,
    recipe: str,
    course: Course,
    floor: TeacherFloor,
    files: DataFiles,
    unlabelled: UnlabelledPersons,
) -> None:
    """Refuse options that are of no use together, before anything is read."""
    if course.plateau is not None and files.val_annotations is None:
        raise ConfigurationError("--plateau watches val/AP: give --val-annotations")
    if floor.teacher_floor is not None and files.val_annotations is None:
        raise ConfigurationError("--teacher-floor evaluates the teachers: give --val-annotations")
    if unlabelled.boxes is not None and course.alpha != 1:
        raise ConfigurationError(
            f"--boxes have no keypoints to learn from, but --alpha {course.alpha:g} leaves {1 - course.alpha:g} "
            "of the loss to keypoints: give --alpha 1"
        )
    require_with(context, ["val_annotations"], NEED_VALIDATION)
    refuse_with_cut(context, files)
    require_with(context, ["boxes"], ["box_threshold"])
    require_with(context, ["teacher_floor"], ["allow_weak_teachers"])
    require_with(context, ["primary"], ["primary_model"])
    require_with(context, ["senior"], ["senior_model", "senior_mask_fusion"])
    roles = ROLES[recipe]
    others = [role for role in ("primary", "senior") if role not in roles]
    others += [f"{role}_cache" for role in others]
    refuse(context, others, f"recipe '{recipe}' learns from {' and '.join(roles) or 'no teacher'}; leave it out")
    if not roles:
        refuse(context, ["alpha", "teacher_floor"], f"recipe '{recipe}' has no teacher; leave it out")
