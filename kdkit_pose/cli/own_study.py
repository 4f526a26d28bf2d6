"""A study on persons and with teachers of one's own, as the command line's options say it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from kdkit import ConfigurationError, Constant, Teacher
from kdkit_pose import models
from kdkit_pose.ablation import Plan, PoseRow, PoseStudy, SharedTargets, roles_of, rows_named
from kdkit_pose.cli import options
from kdkit_pose.cli.codec_choice import choose_codec
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.loading import (
    LoadedNetwork,
    check_skeleton,
    describe_file,
    load_network,
    skeleton_in,
)
from kdkit_pose.cli.option_groups import DataFiles, Fitting
from kdkit_pose.cli.training_data import load_data
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data import PoseDataset
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.mixed_shapes import torn_between_discs

_WITH_OPTION = ("primary", "senior", "blind")


@dataclass(frozen=True)
class Own:
    """Persons and teachers of one's own."""

    student: Annotated[str | None, typer.Option(help=f"The student: {', '.join(models.names())}.")] = None
    init: Annotated[
        Path | None, typer.Option(help="A file of the student's weights, from which every row and seed begins.")
    ] = None
    primary: Annotated[Path | None, typer.Option(help="The primary teacher's file.")] = None
    senior: Annotated[Path | None, typer.Option(help="The senior teacher's file.")] = None
    blind: Annotated[
        Path | None, typer.Option(help="The file of a teacher like the senior that sees no mask.")
    ] = None
    train_annotations: Annotated[Path | None, typer.Option(help="COCO-format annotations to train on.")] = None
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures.")] = None
    val_annotations: options.ValAnnotations = None
    val_images: options.ValImages = None
    predicted_masks: options.PredictedMasks = None
    epochs: Annotated[int, typer.Option(min=2, help="Of every row.")] = 210
    batch_size: options.BatchSize = 32
    learning_rate: options.LearningRate = 1e-3
    schedule: options.ScheduleName = options.Rate.step
    augment: options.Augmentation = True
    evaluate_every: options.EvaluateEvery = 10
    precision: options.PrecisionOption = None
    performance: options.PerformanceOption = options.Performance.default
    cache_images: Annotated[
        bool, typer.Option("--cache-images", help="Keep decoded pictures in memory: for small sets.")
    ] = False

    share_targets: Annotated[
        bool,
        typer.Option(
            "--share-targets",
            help="Keep teachers' heatmaps in --out, so that no teacher sees a view twice: takes room for those "
            "of a run, for each seed and teacher.",
        ),
    ] = False

    @property
    def files(self) -> dict[str, Path]:
        """The teachers' files by role."""
        named = {"primary": self.primary, "senior": self.senior, "blind": self.blind}
        return {role: path for role, path in named.items() if path is not None}


def _own_data(own: Own) -> tuple[str, DataFiles]:
    """Return the student's network and where the persons are.

    Raises:
        ConfigurationError: naming what is not given.
    """
    if own.student and own.train_annotations and own.images and own.val_annotations:
        return own.student, DataFiles(
            *(own.train_annotations, own.images),
            val_annotations=own.val_annotations,
            val_images=own.val_images,
            predicted_masks=own.predicted_masks,
        )
    needed = ("student", "train_annotations", "images", "val_annotations")
    told = ", ".join(f"--{name.replace('_', '-')}" for name in needed if getattr(own, name) is None)
    raise ConfigurationError(f"give {told} to compare on persons of your own, or --synthetic small")


def own_study(out: Path, own: Own, names: Sequence[str], workers: int, cpu: bool, console: Console) -> PoseStudy:
    """Return the study on persons of one's own.

    Args:
        out: its folder.
        own: what it is of.
        names: of its rows, whose teachers it needs.
        workers: processes that read samples.
        cpu: whether to stay on the CPU.
        console: what was read is said there.

    Raises:
        KdkitError: if something is missing, or does not fit together.
    """
    student, files = _own_data(own)
    roles = roles_of(names)
    options = {role: role.removesuffix("_bce") for role in roles}  # one file of each option, by whatever loss
    if missing := dict.fromkeys(option for option in options.values() if option not in own.files):
        told = ", ".join(f"--{role}" if role in _WITH_OPTION else role for role in missing)
        raise ConfigurationError(
            f"the rows learn from teachers that are not given: {told}; give them, or other --rows"
        )
    if unused := [f"--{option}" for option in own.files if option not in options.values()]:
        raise ConfigurationError(
            f"{' and '.join(unused)} would change nothing: no row learns from it; leave it out"
        )
    files_read = dict.fromkeys(options.values())
    opened = {option: load_network(own.files[option], None, "none", f"--{option}") for option in files_read}
    loaded = {role: opened[option] for role, option in options.items()}
    _require_probabilities(rows_named(names), loaded)
    initial = {} if own.init is None else {"student": _initial(own.init, student)}
    body = skeleton_of(
        files.train_annotations,
        None,
        None,
        known=skeleton_in(*(own.files[option] for option in files_read), own.init),
    )
    for one in (*loaded.values(), *initial.values()):
        check_skeleton(one, body, f"'{files.train_annotations}'")
    codec = _codec(loaded or initial, console)
    fitting = Fitting(
        batch_size=own.batch_size,
        learning_rate=own.learning_rate,
        schedule=own.schedule,
        augment=own.augment,
        evaluate_every=own.evaluate_every,
        precision=own.precision,
        performance=own.performance,
        workers=workers,
    )
    teachers = {role: MaskAwareTeacher(role, one.network) for role, one in loaded.items()}
    if doubt := _disagreement(rows_named(names), loaded, teachers):
        console.print(f"warning: {doubt}", markup=False)
    reading = {options[role] for role, teacher in teachers.items() if "mask" in teacher.reads}
    if "blind" in reading:
        raise ConfigurationError(
            f"--blind '{own.blind}' holds a network that reads masks, and its rows say what a teacher is worth "
            f"that sees none: give one that train made without --mask-fusion"
        )
    masks = bool(reading)
    if own.predicted_masks is not None and not masks:
        raise ConfigurationError(
            "--predicted-masks would change nothing: no teacher here reads masks; leave it out"
        )
    data = load_data(
        *(files, codec, body, fitting, console),
        masks=masks,
        reader="a teacher",
        val_masks=False,  # students read none
        cache_images=own.cache_images,
    )
    if (evaluator := data.evaluator) is None:
        raise ConfigurationError("rows are judged on validation persons: give --val-annotations")

    def train(seed: int) -> PoseDataset:
        persons = copy.copy(data.train)
        persons.seed = seed
        return persons

    described: dict[str, Any] = {
        # By its content: where it lies is nobody's business who reads the results.
        "train_annotations": {**describe_file(files.train_annotations), "path": files.train_annotations.name},
        "augment": own.augment,
    }
    if own.predicted_masks is not None:
        described["predicted_masks"] = {**describe_file(own.predicted_masks), "path": own.predicted_masks.name}
    device = "cuda" if torch.cuda.is_available() and not cpu else "cpu"
    return PoseStudy(
        *(student, train, evaluator, teachers, own.epochs, replace(fitting.settings, cpu=cpu), described),
        targets=SharedTargets(out / "targets", workers=workers, device=device),
        share=own.share_targets,
        initial=own.init,
    )


def _require_probabilities(rows: Mapping[str, PoseRow], loaded: Mapping[str, LoadedNetwork]) -> None:
    """Require teachers that learned by cross-entropy where rows say so.

    Raises:
        ConfigurationError: naming the options and the rows.
    """
    others = {role for role, one in loaded.items() if role.endswith("_bce") and one.network.activation == "none"}
    if others:
        options = " and ".join(f"--{role.removesuffix('_bce')}" for role in loaded if role in others)
        wanting = [name for name, row in rows.items() if others & set(row.teachers)]
        raise ConfigurationError(
            f"{', '.join(wanting)} learn from teachers that learned by cross-entropy, and {options} did not: give "
            f"others, as train --loss bce makes them (from such a file by --pretrained), or take binary_bce, "
            f"which binarizes what they give"
        )


def _disagreement(
    rows: Mapping[str, PoseRow], loaded: Mapping[str, LoadedNetwork], teachers: Mapping[str, Teacher]
) -> str | None:
    """A line that names rows that learn Gaussians of the truth and discs of teachers, or None."""
    plan = Plan(teachers, 8, Constant(1e-3))  # of whatever length, stages learn the same
    discs = {role for role, one in loaded.items() if one.network.activation == "sigmoid"}
    found = {name: torn_between_discs(row.curriculum(plan), discs) for name, row in rows.items()}
    torn = [name for name, roles in found.items() if roles]
    if not torn:
        return None
    # Each role once, by its option, of which there is one for teachers of either loss.
    learned = {role.removesuffix("_bce"): None for roles in found.values() for role in roles}
    return (
        f"{' and '.join(f'--{role}' for role in learned)} learned discs by cross-entropy, and {', '.join(torn)} "
        f"learn Gaussians of the ground truth: a student cannot match both; take rows that binarize it, as --rows "
        f"core_bce has them, or teachers of train --loss mse"
    )


def _initial(path: Path, student: str) -> LoadedNetwork:
    """Return what the students begin from.

    Raises:
        CheckpointError: if the file cannot be used.
        ConfigurationError: if it is another network's.
    """
    found = models.recognise(path)
    if (said := found.metadata.get("model", student)) != student:
        raise ConfigurationError(
            f"--init '{path}' holds {said}, and the student is {student}: give a file of the student's weights, "
            f"or --student {said}"
        )
    if found.mask_fusion != "none":
        raise ConfigurationError(
            f"--init '{path}' holds a network that reads masks, as no student does: give a student's file"
        )
    return load_network(path, student, "none", "--student")


def _codec(loaded: Mapping[str, LoadedNetwork], console: Console) -> Codec:
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
