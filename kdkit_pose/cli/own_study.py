"""A study on persons and with teachers of one's own, as the command line's options say it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from kdkit import ConfigurationError
from kdkit_pose import models
from kdkit_pose.ablation import PoseStudy, SharedTargets
from kdkit_pose.cli import options
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.loading import (
    LoadedNetwork,
    check_skeleton,
    describe_file,
    load_network,
    skeleton_in,
)
from kdkit_pose.cli.option_groups import DataFiles, Fitting
from kdkit_pose.cli.own_teachers import OPTIONS, codec_of, load_own_teachers
from kdkit_pose.cli.training_data import load_data
from kdkit_pose.data import PoseDataset
from kdkit_pose.skeleton import Skeleton


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
        """The teachers' files by option."""
        named = {option: getattr(self, option) for option in OPTIONS}
        return {option: path for option, path in named.items() if path is not None}

    def fitting(self, workers: int) -> Fitting:
        """How every row is trained."""
        return Fitting(
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            augment=self.augment,
            evaluate_every=self.evaluate_every,
            precision=self.precision,
            performance=self.performance,
            workers=workers,
        )


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
    teachers = load_own_teachers(names, own.files)
    initial = {} if own.init is None else {"student": _initial(own.init, student)}
    body = _skeleton(files, own, (*teachers.loaded.values(), *initial.values()))
    codec = codec_of(teachers.loaded or initial, console)
    if teachers.disagreement:
        console.print(f"warning: {teachers.disagreement}", markup=False)
    if own.predicted_masks is not None and not teachers.reading:
        raise ConfigurationError(
            "--predicted-masks would change nothing: no teacher here reads masks; leave it out"
        )
    fitting = own.fitting(workers)
    data = load_data(
        *(files, codec, body, fitting, console),
        masks=bool(teachers.reading),
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

    settings = replace(fitting.settings, cpu=cpu)
    device = "cuda" if torch.cuda.is_available() and not cpu else "cpu"
    return PoseStudy(
        *(student, train, evaluator, teachers.teachers, own.epochs, settings, _described(own, files)),
        targets=SharedTargets(out / "targets", workers=workers, device=device),
        share=own.share_targets,
        initial=own.init,
    )


def _skeleton(files: DataFiles, own: Own, networks: Sequence[LoadedNetwork]) -> Skeleton:
    """Return the data's keypoints, which are those of all networks.

    Raises:
        KdkitError: if a network has others.
    """
    body = skeleton_of(files.train_annotations, None, None, known=skeleton_in(*own.files.values(), own.init))
    for one in networks:
        check_skeleton(one, body, f"'{files.train_annotations}'")
    return body


def _described(own: Own, files: DataFiles) -> dict[str, Any]:
    """What the results say of the persons: files by their content, for where they lie is nobody's business."""
    told: dict[str, Any] = {
        "train_annotations": {**describe_file(files.train_annotations), "path": files.train_annotations.name},
        "augment": own.augment,
    }
    if own.predicted_masks is not None:
        told["predicted_masks"] = {**describe_file(own.predicted_masks), "path": own.predicted_masks.name}
    return told


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
