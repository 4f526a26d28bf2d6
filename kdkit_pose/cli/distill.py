"""``kdkit-pose distill``."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit import ConfigurationError
from kdkit_pose import recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.curriculum import build_curriculum
from kdkit_pose.cli.datasets import evaluator_of, skeleton_of, training_data, validation_data
from kdkit_pose.cli.loading import describe_file, skeleton_in
from kdkit_pose.cli.masks_needed import require_masks
from kdkit_pose.cli.new_network import new_network
from kdkit_pose.cli.show import describe_data, show_result, show_unused_masks
from kdkit_pose.cli.teachers import TeacherFile, load_teachers
from kdkit_pose.fit import FitSettings, check_batch_size, fit
from kdkit_pose.models import names
from kdkit_pose.teacher_check import check_teachers

Recipe = StrEnum("Recipe", {name: name for name in recipes.NAMES})  # type: ignore[misc]

DEFAULT_RECIPE = Recipe("odkd")


class Binarized(StrEnum):
    """Which targets are binarized."""

    none = "none"
    truth = "truth"
    teacher = "teacher"
    both = "both"


def distill(
    student: Annotated[str, typer.Option(help=f"The student: {', '.join(names())}.")],
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
    skeleton: options.SkeletonOption = None,
    sigmas: options.SigmasOption = None,
    boxes: options.TrainBoxes = None,
    box_threshold: options.BoxThreshold = 0.0,
    keep_unlabelled: options.KeepUnlabelled = False,
    predicted_masks: options.PredictedMasks = None,
    val_annotations: options.ValAnnotations = None,
    val_images: options.ValImages = None,
    val_predicted_masks: options.ValPredictedMasks = None,
    teacher_floor: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Stop if a teacher's val/AP, 0 to 1, is below this."),
    ] = None,
    allow_weak_teachers: Annotated[bool, typer.Option(help="Go on with teachers below the floor.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for the student to start from.")] = None,
    pretrained: options.Pretrained = None,
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
    console = Console(highlight=False, soft_wrap=True)
    unlabelled = keep_unlabelled or boxes is not None
    _require_sense(plateau, teacher_floor, val_annotations, boxes, alpha)
    body = skeleton_of(train_annotations, skeleton, sigmas, known=skeleton_in(primary, senior))
    files = {
        "primary": TeacherFile(primary, primary_model),
        "senior": TeacherFile(senior, senior_model, senior_mask_fusion),
    }
    teachers = load_teachers(recipe.value, files, body, f"'{train_annotations}'")
    for role, loaded in teachers.loaded.items():
        console.print(f"teacher {role}: {loaded.report}", markup=False)
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
    network = new_network(student, body, seed, console, checkpoint=checkpoint, pretrained=pretrained)
    by_role = teachers.by_role
    curriculum = build_curriculum(
        recipe.value,
        by_role,
        epochs=epochs,
        switch_epoch=switch_epoch,
        plateau=plateau,
        alpha=alpha,
        binarize=binarize.value if binarize else None,
        threshold=threshold,
        learning_rate=settings.rate(),
        outputs=network.heatmap_outputs,
        unlabelled=unlabelled,
    )
    if teachers.disagreement:
        console.print(f"warning: {teachers.disagreement}", markup=False)
    taught = teachers.codec_for(codec, input_size, sigma)
    console.print(f"heatmaps: {taught}", markup=False)
    for role in teachers.silent:
        known = (
            "taken as asked for"
            if codec is not None
            else "this one is assumed; see --codec (the official HRNet files' is msra)"
        )
        console.print(f"teacher {role}: its file names no codec, {known}", markup=False)
    learned = replace(taught, decoder=teachers.student_decoder(curriculum))
    masks = any("mask" in teacher.reads for teacher in by_role.values())
    if not masks:
        show_unused_masks(console, predicted_masks=predicted_masks, val_predicted_masks=val_predicted_masks)
    data = training_data(
        *(train_annotations, images, taught),
        augment=augment,
        masks=masks,
        seed=seed,
        skeleton=body,
        unlabelled="keep" if unlabelled else "leave out",
        boxes=boxes,
        box_threshold=box_threshold,
        predicted_masks=predicted_masks,
    )
    console.print(describe_data(data, "training persons"), markup=False)
    require_masks(data, "the senior teacher", "--predicted-masks")
    held_out = validation_data(
        *(val_annotations, val_images or images, taught),
        masks=masks,
        skeleton=body,
        predicted_masks=val_predicted_masks,
    )
    evaluator = None if held_out is None else evaluator_of(held_out)
    if held_out is not None:
        console.print(describe_data(held_out, "validation persons"), markup=False)
        require_masks(held_out, "the senior teacher", "--val-predicted-masks")
    check_batch_size(settings, data)
    # Late, since it takes long.
    if evaluator is not None:
        check_teachers(
            by_role,
            evaluator,
            decoders=teachers.decoders,
            floor=teacher_floor,
            allow_weak=allow_weak_teachers,
            say=lambda line: console.print(line, markup=False),
        )
    elif by_role:
        console.print("no --val-annotations: the teachers are not checked")
    result = fit(
        network,
        curriculum,
        data,
        out,
        settings,
        evaluator=None if evaluator is None else evaluator.decoded_by(learned.decoder),
        codec=learned,
        config={
            "recipe": recipe.value,
            "teachers": {role: describe_file(loaded.report.path) for role, loaded in teachers.loaded.items()},
            "train_annotations": str(train_annotations),
            "images": str(images),
            "boxes": str(boxes) if boxes else None,
            "predicted_masks": data.masks_predicted.to_json() if data.masks_predicted else None,
            "val_annotations": str(val_annotations) if val_annotations else None,
            "codec": learned.to_metadata(),
            "augment": augment,
            "val_predicted_masks": describe_file(val_predicted_masks) if val_predicted_masks else None,
            "checkpoint": str(checkpoint) if checkpoint else None,
            "pretrained": pretrained,
        },
    )
    show_result(result, console)


def _require_sense(
    plateau: int | None,
    teacher_floor: float | None,
    val_annotations: Path | None,
    boxes: Path | None,
    alpha: float,
) -> None:
    """Refuse options that are of no use together, before anything is read."""
    if plateau is not None and val_annotations is None:
        raise ConfigurationError("--plateau watches val/AP: give --val-annotations")
    if teacher_floor is not None and val_annotations is None:
        raise ConfigurationError("--teacher-floor evaluates the teachers: give --val-annotations")
    if boxes is not None and alpha != 1:
        raise ConfigurationError(
            f"--boxes have no keypoints to learn from, but --alpha {alpha:g} leaves {1 - alpha:g} of the loss to "
            "keypoints: give --alpha 1"
        )
