"""``kdkit-pose ablate``."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdkit import ConfigurationError
from kdkit.ablation import Ablation, Results, draw_curves, draw_differences, write_report
from kdkit.ablation.ablation import require_grid
from kdkit_pose import models
from kdkit_pose.ablation import CORE, CORE_BCE, FULL, LONG, ROWS, SMALL, SyntheticBenchmark, roles_of, rows_named
from kdkit_pose.cli import options
from kdkit_pose.cli.given import given, refuse
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.outputs import check_outputs
from kdkit_pose.cli.own_study import Own, own_study
from kdkit_pose.cli.side_by_side import run_side_by_side


class Size(StrEnum):
    """The sizes of the benchmark."""

    small = "small"
    long = "long"
    full = "full"


class LabelsOption(StrEnum):
    """How the benchmark's training persons are annotated."""

    exact = "exact"
    coco = "coco"


def _list_rows(asked: bool) -> None:
    """Print every row, its teachers in brackets, and end, where that is asked for."""
    if not asked:
        return
    width = max(map(len, ROWS))
    for name, row in ROWS.items():
        teachers = f" [{', '.join(row.teachers)}]" if row.teachers else ""
        typer.echo(f"{name:{width}}  {row.summary}{teachers}")
    typer.echo(
        f"\nRows learn by squared error, and binarize nothing, unless it is said.\n"
        f"core: {', '.join(CORE)}\ncore_bce: {', '.join(CORE_BCE)}\n"
        f"The recipe odkd, with its defaults, is binary_bce_alike where its teachers learned by cross-entropy, "
        f"and binary_bce where they did not."
    )
    raise typer.Exit


@dataclass(frozen=True)
class Grid:
    """Which rows, and how often."""

    rows: Annotated[
        str,
        typer.Option(
            help="Names parted by commas, the baseline first; --list-rows shows them. core, core_bce and all "
            f"stand for several: {', '.join(CORE)}, all by squared error; the same by cross-entropy, as recipes "
            "learn by default, of teachers that did so, too; and all there are."
        ),
    ] = "core"
    list_rows: Annotated[
        bool,
        typer.Option("--list-rows", is_eager=True, callback=_list_rows, help="Show every row and what it is."),
    ] = False
    seeds: Annotated[str, typer.Option(help="Numbers parted by commas; three at least tell something.")] = "0,1,2"

    @property
    def names(self) -> tuple[str, ...]:
        """The rows' names."""
        several = {"core": CORE, "core_bce": CORE_BCE, "all": tuple(ROWS)}
        named = [name.strip() for name in self.rows.split(",")]
        return tuple(dict.fromkeys(row for name in named for row in several.get(name, (name,))))

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
        typer.Option(
            help="Compare on drawn people; teachers are trained first. small is for two CPU cores, long the same "
            "with four times the training."
        ),
    ] = None
    labels: Annotated[
        LabelsOption, typer.Option(help="Their annotations: exact, or jittered and left out as COCO's are.")
    ] = LabelsOption.exact


@dataclass(frozen=True)
class Running:
    """How it is run, which changes no results."""

    processes: Annotated[
        int, typer.Option(min=1, help="Trainings side by side, in as many processes; they share the cores.")
    ] = 1
    workers: options.Workers = 0
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU even where there is a GPU.")] = False


@dataclass(frozen=True)
class Job:
    """All that says which trainings are to be done, for any process."""

    out: Path
    drawn: Drawn
    own: Own
    running: Running
    names: tuple[str, ...]
    seeds: tuple[int, ...]

    def ablation(self, console: Console) -> Ablation:
        """Return the study; teachers that the benchmark lacks are trained."""
        workers, cpu = self.running.workers, self.running.cpu
        if self.drawn.synthetic is None:
            study, folder = own_study(self.out, self.own, self.names, workers, cpu, console), self.out
        else:
            size = {Size.small: SMALL, Size.long: LONG, Size.full: FULL}[self.drawn.synthetic]
            benchmark = SyntheticBenchmark(
                self.out,
                size,
                self.drawn.labels.value,
                workers=workers,
                cpu=cpu,
                say=lambda line: console.print(line, markup=False),
            )
            study = benchmark.study(roles_of(self.names), self.own.student)
            folder = self.out / f"{self.drawn.labels.value}-{study.student}"
        return study.ablation(self.names, self.seeds, folder)


def _run(job: Job) -> None:
    """Do what nobody else is at of a study, in a process of its own."""
    # What was read of one's own persons is said already; teachers are trained here.
    console = Console(highlight=False, soft_wrap=True, quiet=job.drawn.synthetic is None)
    job.ablation(console).run(lambda line: print(line, flush=True))


@grouped
def ablate(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="The study's folder; what is finished there is not trained again.")],
    grid: Grid,
    drawn: Drawn,
    own: Own,
    running: Running,
    json_file: options.Json = None,
) -> None:
    """Compare recipes over seeds, at equal epochs, in pairs.

    With --processes several trainings run side by side. So they do where it is started several
    times with the same options, also on several machines that share the folder.

    \b
    Example:
      kdkit-pose ablate --synthetic small --labels coco --processes 2 \\
        --out runs/ablation
      kdkit-pose ablate --student hrnet_w16 \\
        --rows plain_binary_bce,binary_bce_alike,reversed_bce_alike_soft \\
        --primary runs/w32/student.safetensors \\
        --senior runs/w48-mask/student.safetensors --epochs 60 --out runs/mine \\
        --train-annotations train.json --images train2017 \\
        --val-annotations val.json --val-images val2017
    """
    console = Console(highlight=False, soft_wrap=True)
    names, seeds = grid.names, grid.numbers
    rows_named(names)
    require_grid(names, seeds)
    read = {"--train-annotations": own.train_annotations, "--val-annotations": own.val_annotations}
    read |= {"--predicted-masks": own.predicted_masks}
    read |= {"--init": own.init, **{f"--{role}": path for role, path in own.files.items()}}
    check_outputs({"--json": json_file}, read)
    if own.student is not None:
        models.create(own.student)  # unknown ones are told before teachers are trained
    if drawn.synthetic is None:
        refuse(context, ["labels"], "needs --synthetic")
    else:
        _refuse_own(context)

    def say(line: str) -> None:
        console.print(line, markup=False)

    job = Job(out, drawn, own, running, names, seeds)
    if running.processes > 1:
        if drawn.synthetic is None:
            job.ablation(console)  # so that what does not fit is said once
        run_side_by_side(_run, (job,), running.processes)
        console.quiet = True
    ablation = job.ablation(console)
    results = ablation.run(say)
    console.quiet = False
    folder = ablation.out
    say(str(results))
    say(f"written: {folder / 'results.json'}")
    if json_file is not None:
        write_report(ablation.report(), json_file)
    _write(results, folder, say)


def _refuse_own(context: typer.Context) -> None:
    """Refuse options for persons of one's own where they are drawn."""
    fields = [name for name in Own.__dataclass_fields__ if name != "student"]
    if options_given := given(context, fields):
        raise ConfigurationError(
            f"{' and '.join(options_given)} would change nothing: --synthetic brings its own people, teachers and "
            "lengths; leave it out"
        )


def _write(results: Results, folder: Path, say: Any) -> None:
    """Write what can be drawn beside the study."""
    if any(row.difference is not None for row in results.rows):
        draw_differences(results, folder / "differences.png")
        say(f"written: {folder / 'differences.png'}")
    if any(trial.curve for trials in results.trials.values() for trial in trials.values()):
        draw_curves(results, path=folder / "curves.png")
        say(f"written: {folder / 'curves.png'}")
