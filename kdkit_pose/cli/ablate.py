"""``kdkit-pose ablate``."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdkit import ConfigurationError
from kdkit.ablation import Results, draw_curves, draw_differences, write_report
from kdkit.ablation.ablation import require_grid
from kdkit_pose import models
from kdkit_pose.ablation import CORE, FULL, ROWS, SMALL, PoseStudy, SyntheticBenchmark, roles_of
from kdkit_pose.cli import options
from kdkit_pose.cli.codec_choice import choose_codec
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import given, refuse
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.loading import (
    LoadedNetwork,
    check_codec,
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


class Size(StrEnum):
    """The sizes of the benchmark."""

    small = "small"
    full = "full"


class LabelsOption(StrEnum):
    """How the benchmark's training persons are annotated."""

    exact = "exact"
    coco = "coco"


@dataclass(frozen=True)
class Grid:
    """Which rows, and how often."""

    rows: Annotated[
        str, typer.Option(help=f"Names parted by commas, the baseline first; core, all, or of: {', '.join(ROWS)}.")
    ] = "core"
    seeds: Annotated[str, typer.Option(help="Numbers parted by commas; three at least tell something.")] = "0,1,2"

    @property
    def names(self) -> tuple[str, ...]:
        """The rows' names."""
        known = {"core": CORE, "all": tuple(ROWS)}
        return known.get(self.rows) or tuple(name.strip() for name in self.rows.split(","))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seeds.

        Raises:
            ConfigurationError: if one is no whole number of 0 or more.
        """
        parts = [part.strip() for part in self.seeds.split(",")]
        if wrong := [part for part in parts if not part.isdecimal()]:
            raise ConfigurationError(f"--seeds are whole numbers parted by commas, such as 0,1,2; found {wrong}")
        return tuple(map(int, parts))


@dataclass(frozen=True)
class Drawn:
    """The built-in benchmark."""

    synthetic: Annotated[
        Size | None,
        typer.Option(help="Compare on drawn people; teachers are trained first. small is for two CPU cores."),
    ] = None
    labels: Annotated[
        LabelsOption, typer.Option(help="Their annotations: exact, or jittered and left out as COCO's are.")
    ] = LabelsOption.exact


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
        Path | None, typer.Option(help="The file of a teacher as strong as the senior that sees no mask.")
    ] = None
    train_annotations: Annotated[Path | None, typer.Option(help="COCO-format annotations to train on.")] = None
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures.")] = None
    val_annotations: options.ValAnnotations = None
    val_images: options.ValImages = None
    epochs: Annotated[int, typer.Option(min=2, help="Of every row.")] = 210
    batch_size: options.BatchSize = 32
    learning_rate: options.LearningRate = 1e-3
    schedule: options.ScheduleName = options.Rate.step
    augment: options.Augmentation = True
    evaluate_every: options.EvaluateEvery = 10
    cache_images: Annotated[
        bool, typer.Option("--cache-images", help="Keep decoded pictures in memory: for small sets.")
    ] = False

    @property
    def files(self) -> dict[str, Path]:
        """The teachers' files by role."""
        named = {"primary": self.primary, "senior": self.senior, "blind": self.blind}
        return {role: path for role, path in named.items() if path is not None}


_WITH_OPTION = ("primary", "senior", "blind")


@grouped
def ablate(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="The study's folder; what is finished there is not trained again.")],
    grid: Grid,
    drawn: Drawn,
    own: Own,
    workers: options.Workers = 0,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU even where there is a GPU.")] = False,
    json_file: options.Json = None,
) -> None:
    """Compare recipes over seeds, at equal epochs, in pairs.

    Start it several times with the same options to train side by side.

    \b
    Example:
      kdkit-pose ablate --synthetic small --labels coco --out runs/ablation
      kdkit-pose ablate --student hrnet_w16 --rows plain,odkd,reversed \\
        --primary runs/w32/student.safetensors \\
        --senior runs/w48-mask/student.safetensors --epochs 60 --out runs/mine \\
        --train-annotations train.json --images train2017 \\
        --val-annotations val.json --val-images val2017
    """
    console = Console(highlight=False, soft_wrap=True)
    names, seeds = grid.names, grid.numbers
    roles = roles_of(names)
    require_grid(names, seeds)

    def say(line: str) -> None:
        console.print(line, markup=False)

    if drawn.synthetic is not None:
        _refuse_own(context)
        size = FULL if drawn.synthetic is Size.full else SMALL
        benchmark = SyntheticBenchmark(out, size, drawn.labels.value, workers=workers, cpu=cpu, say=say)
        study = benchmark.study(roles, own.student)
        folder = out / f"{drawn.labels.value}-{study.student}"
    else:
        refuse(context, ["labels"], "needs --synthetic")
        study, folder = _own_study(own, roles, workers, cpu, console), out
    ablation = study.ablation(names, seeds, folder)
    results = ablation.run(say)
    say(str(results))
    say(f"written: {folder / 'results.json'}")
    _write(results, folder, say)
    if json_file is not None:
        write_report(ablation.report(), json_file)


def _refuse_own(context: typer.Context) -> None:
    """Refuse options for persons of one's own where they are drawn."""
    fields = [name for name in Own.__dataclass_fields__ if name != "student"]
    if options_given := given(context, fields):
        raise ConfigurationError(
            f"{' and '.join(options_given)} would change nothing: --synthetic brings its own people, teachers and "
            "lengths; leave it out"
        )


def _own_data(own: Own) -> tuple[str, DataFiles]:
    """Return the student's network and where the persons are.

    Raises:
        ConfigurationError: naming what is not given.
    """
    if own.student and own.train_annotations and own.images and own.val_annotations:
        return own.student, DataFiles(
            own.train_annotations, own.images, val_annotations=own.val_annotations, val_images=own.val_images
        )
    needed = ("student", "train_annotations", "images", "val_annotations")
    told = ", ".join(f"--{name.replace('_', '-')}" for name in needed if getattr(own, name) is None)
    raise ConfigurationError(f"give {told} to compare on persons of your own, or --synthetic small")


def _own_study(own: Own, roles: Sequence[str], workers: int, cpu: bool, console: Console) -> PoseStudy:
    """Return the study on persons of one's own."""
    student, files = _own_data(own)
    if missing := [role for role in roles if role not in own.files]:
        told = ", ".join(f"--{role}" if role in _WITH_OPTION else role for role in missing)
        raise ConfigurationError(
            f"the rows learn from teachers that are not given: {told}; give them, or other --rows"
        )
    loaded = {role: load_network(own.files[role], None, "none", f"--{role}") for role in roles}
    initial = {} if own.init is None else {"student": _initial(own.init, student)}
    body = skeleton_of(
        files.train_annotations, None, None, known=skeleton_in(*(own.files[role] for role in roles), own.init)
    )
    for one in (*loaded.values(), *initial.values()):
        check_skeleton(one, body, f"'{files.train_annotations}'")
    codec = _codec(loaded or initial)
    fitting = Fitting(
        batch_size=own.batch_size,
        learning_rate=own.learning_rate,
        schedule=own.schedule,
        augment=own.augment,
        evaluate_every=own.evaluate_every,
        workers=workers,
    )
    teachers = {role: MaskAwareTeacher(role, one.network) for role, one in loaded.items()}
    masks = any("mask" in teacher.reads for teacher in teachers.values())
    data = load_data(
        *(files, codec, body, fitting, console), masks=masks, reader="a teacher", cache_images=own.cache_images
    )
    if (evaluator := data.evaluator) is None:
        raise ConfigurationError("rows are judged on validation persons: give --val-annotations")

    def train(seed: int) -> PoseDataset:
        persons = copy.copy(data.train)
        persons.seed = seed
        return persons

    described = {
        # By its content: where it lies is nobody's business who reads the results.
        "train_annotations": {**describe_file(files.train_annotations), "path": files.train_annotations.name},
        "augment": own.augment,
    }
    settings = replace(fitting.settings, cpu=cpu)
    return PoseStudy(student, train, evaluator, teachers, own.epochs, settings, described, initial=own.init)


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


def _codec(loaded: Mapping[str, LoadedNetwork]) -> Codec:
    """Return what all teachers' heatmaps mean; DARK at 256x192 where there is no teacher.

    Raises:
        ConfigurationError: if they mean different things.
    """
    if not loaded:
        return DARK()
    codec = replace(choose_codec(next(iter(loaded.values())), None, None, None).codec, decoder="peak")
    for one in loaded.values():
        check_codec(codec, one.codec, one.report.path)
    return codec


def _write(results: Results, folder: Path, say: Any) -> None:
    """Write what can be drawn beside the study."""
    if any(row.difference is not None for row in results.rows):
        draw_differences(results, folder / "differences.png")
        say(f"written: {folder / 'differences.png'}")
    if any(trial.curve for trials in results.trials.values() for trial in trials.values()):
        draw_curves(results, path=folder / "curves.png")
        say(f"written: {folder / 'curves.png'}")
