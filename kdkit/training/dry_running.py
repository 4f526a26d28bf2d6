"""All that a run does, once and on the side: what would stop it after hours stops it now."""

import copy
import math
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from kdkit.batch import Batch, batch_size
from kdkit.condition import Condition
from kdkit.condition import Epochs as ForEpochs
from kdkit.curriculum import Curriculum
from kdkit.distiller import Distiller
from kdkit.errors import ConfigurationError
from kdkit.training.dry_run_report import DryRun, StageTrial, size
from kdkit.training.epochs import Epochs, generators_of
from kdkit.training.evaluation import Evaluate
from kdkit.training.finite_weights import check_weights
from kdkit.training.measured_trainer import MeasuredTrainer, OneStep, copied
from kdkit.training.preparation import Preparation
from kdkit.training.random_state import capture_random_state, restore_random_state
from kdkit.training.run_folder import RunFolder
from kdkit.training.teacher_watch import follows_student
from kdkit.training.trainer import Trainer
from kdkit.training.tuning import MakeOptimizer

_STEPS_ON_ACCELERATOR = 3  # of which the first are slow


def dry_run(
    distiller: Distiller,
    train_loader: Iterable[Batch],
    *,
    optimizer: Optimizer | MakeOptimizer,
    out: str | Path,
    evaluate: Evaluate | None = None,
    samples: int | None = None,
    **settings: Any,
) -> DryRun:
    """Do all that a run does, once: one step of each stage, an evaluation, a checkpoint and back.

    It takes a :class:`Trainer`'s arguments and trains by one, in a temporary folder and with copies of what
    changes: student, balances, teachers that follow the student, and the optimizer. Nothing is written to ``out``,
    and random generators and loader are put back, so that a run that follows is the same as without.

    It checks that the run's folder can be used, that weights are finite, that the first batch fits every stage
    and all losses are finite, that every stage can be trained and entered, that the evaluation gives what the run
    asks for, that a checkpoint read back gives the same state to the bit, and that the disk holds the run's.

    Args:
        distiller: student and curriculum, at its start; it was not given to a Trainer.
        train_loader: gives the training batches; the first ones are read.
        optimizer: as for a Trainer.
        out: the run's folder.
        evaluate: called with the network, once. It may evaluate on less than the run's own, to save time.
        samples: how many of each batch to learn from; all of them by default.
        **settings: further arguments of the Trainer.

    Returns:
        What was checked, with figures. Its ``problems`` are not raised: see :meth:`DryRun.require_sound`.

    Raises:
        KdkitError: what the run itself would raise, a ConfigurationError, BatchError or RunFolderError mostly.
        CheckpointError: if a checkpoint does not come back as it was written.
    """
    random = capture_random_state()
    drawn = [(generator, generator.get_state()) for generator in generators_of(train_loader)]
    place = next((value.device for value in distiller.student.parameters()), torch.device("cpu"))
    try:
        check_weights(distiller)
        given: dict[str, Any] = {**settings, "progress": False, "trackers": ()}
        whole, own = _copies(distiller, optimizer)
        trainer = Trainer(whole, train_loader, optimizer=own, out=out, evaluate=evaluate, **given)
        trainer.check_folder()
        return _try_out(distiller, train_loader, optimizer, trainer.folder, evaluate, samples, given)
    except torch.OutOfMemoryError as error:
        raise ConfigurationError(
            f"the memory of the device does not hold a step of this run ({str(error).splitlines()[0]}): lower the "
            f"batch size, and see accumulate"
        ) from error
    finally:
        restore_random_state(random)
        for generator, state in drawn:
            generator.set_state(state)
        distiller.to(place)  # the teachers, which the copies share


def _try_out(
    distiller: Distiller,
    train_loader: Iterable[Batch],
    optimizer: Optimizer | MakeOptimizer,
    folder: RunFolder,
    evaluate: Evaluate | None,
    samples: int | None,
    given: Mapping[str, Any],
) -> DryRun:
    """Train on copies, and return what was seen."""
    short, own = _copies(distiller, optimizer, until=ForEpochs(1))
    accumulate = given.get("accumulate", 1)
    started = time.perf_counter()
    group = list(islice(Epochs(train_loader).start(0), accumulate))
    reading = (time.perf_counter() - started) / max(len(group), 1)
    if not group:
        raise ConfigurationError("the training loader gave no batch")
    batch = batch_size(group[0])
    group = [_cut(one, samples) for one in group]
    with TemporaryDirectory(prefix="kdkit-dry-run-") as temporary:
        few = OneStep(train_loader, group)
        trainer = MeasuredTrainer(
            *(short, few),
            **{**given, "evaluate_every": len(short.curriculum) + 1, "checkpoint_steps": None},
            optimizer=own,
            out=temporary,
            evaluate=evaluate,
        )
        few.steps = 1 if trainer.device.type == "cpu" else _STEPS_ON_ACCELERATOR
        check = short.check(Preparation(given.get("prepare"), trainer.device)(copied(group[0])))
        for row in check.objectives:
            if not math.isfinite(row.loss):
                raise ConfigurationError(
                    f"stage '{row.stage}': the loss of '{row.objective}' is {row.loss} for the first batch: "
                    f"look at the data, and at the weights of student and teacher"
                )
        _reset_memory(trainer.device)
        result = trainer.fit()
        checkpoint = trainer.compare_checkpoint()
        needed = _needed(folder, checkpoint, given.get("keep", 2), evaluate is not None)
        losses = {line["stage"]: line for line in trainer.folder.read_metrics()}
    free = shutil.disk_usage(
        next(one for one in (folder.path, *folder.path.absolute().parents) if one.exists())
    ).free
    report = DryRun(
        *(check, batch_size(group[0]), batch, reading),
        stages=tuple(
            StageTrial(
                stage.name,
                min(trainer.seconds[stage.name]),
                {name: value for name, value in losses[stage.name].items() if name.startswith("loss/")},
            )
            for stage in short.curriculum
        ),
        metrics=dict(result.metrics),
        evaluation=trainer.evaluation_seconds,
        checkpoint=checkpoint,
        needed=needed,
        free=free,
        memory=_memory(trainer.device),
        hours=None,
    )
    problems = []
    if needed > free:
        text = f"the run's folder '{folder.path}' needs {size(needed)}, and {size(free)} are free: make room"
        problems.append(f"{text}, or give another folder")
    awaited = {name for stage in distiller.curriculum for name in stage.until.metrics()}
    if missing := sorted(awaited - result.metrics.keys()):
        problems.append(
            f"a stage waits for {', '.join(missing)}, which the evaluation does not give (it gives "
            f"{', '.join(sorted(result.metrics))}): name one of these"
        )
    report = replace(report, problems=tuple(problems))
    return replace(report, hours=_hours(report, distiller.curriculum, train_loader, accumulate))


def _copies(
    distiller: Distiller, optimizer: Optimizer | MakeOptimizer, until: Condition | None = None
) -> tuple[Distiller, Optimizer | MakeOptimizer]:
    """Return a distiller at its start and an optimizer, of which nothing that changes is the original's.

    Args:
        distiller: the original.
        optimizer: the original, or what makes one.
        until: how long each of the copy's stages lasts; as the original's by default.
    """
    members = (member for teacher in distiller.teachers for member in (teacher, *teacher.members))
    memo: dict[int, Any] = {id(one): one for one in members if not follows_student(one)}
    made = optimizer if isinstance(optimizer, Optimizer) else None
    student, curriculum, copied = copy.deepcopy((distiller.student, distiller.curriculum, made), memo)
    curriculum.reset()
    before = dict(student.named_parameters())
    copies = Distiller(student, curriculum if until is None else curriculum.shortened(until))
    if copied is None:
        return copies, optimizer
    # What balances train was made anew.
    anew = {id(before[name]): value for name, value in student.named_parameters() if name in before}
    for group in copied.param_groups:
        group["params"] = [anew.get(id(value), value) for value in group["params"]]
    return copies, copied


def _cut(batch: Batch, samples: int | None) -> dict[str, Tensor]:
    """Return the first samples of a batch."""
    rows = batch_size(batch)
    return {
        name: value[:samples] if isinstance(value, Tensor) and value.ndim and len(value) == rows else value
        for name, value in batch.items()
    }


def _needed(folder: RunFolder, checkpoint: int, keep: int, evaluates: bool) -> int:
    """Return the bytes that a run's checkpoints and its student take at most, beside those that are there."""
    # One more is written before the oldest goes; the student is a part of a checkpoint.
    total = checkpoint * (keep + evaluates + 2)
    there = folder.checkpoints.folder
    return max(total - sum(path.stat().st_size for path in there.glob("*") if there.is_dir()), checkpoint)


def _hours(report: DryRun, curriculum: Curriculum, loader: Iterable[Batch], accumulate: int) -> float | None:
    """Return what the steps take at the pace of those that were taken, or None where nobody knows how many."""
    batches, lengths = Epochs(loader).batches, curriculum.lengths
    if lengths is None or report.samples == 0:
        return None
    workers, total = getattr(loader, "num_workers", 0), 0.0
    for length, trial in zip(lengths, report.stages, strict=True):
        if length.unit == "epochs" and batches is None:
            return None
        steps = length.amount * -(-batches // accumulate) if length.unit == "epochs" and batches else length.amount
        computing, reading = trial.seconds * report.batch / report.samples, report.reading * accumulate
        # Workers read while the step is computed.
        total += steps * (max(computing, reading / workers) if workers else computing + reading)
    return total / 3600


def _reset_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # no Unix
        return None
    # In kB on Linux, in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
