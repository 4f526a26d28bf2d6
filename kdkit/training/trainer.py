"""The trainer: runs a distiller's curriculum to its end, on Hugging Face Accelerate."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch.optim import Optimizer

from kdkit.batch import Batch
from kdkit.distiller import Distiller
from kdkit.errors import ConfigurationError
from kdkit.naming import callable_name
from kdkit.processes import Processes
from kdkit.stage import Stage
from kdkit.training.checks import check_settings
from kdkit.training.conventions import check_conventions
from kdkit.training.description import describe_run
from kdkit.training.engine import Engine
from kdkit.training.epochs import Epochs, in_groups
from kdkit.training.evaluation import Evaluate, Evaluation
from kdkit.training.export import export_student
from kdkit.training.final_student import choose_student
from kdkit.training.learning_rate import LearningRate
from kdkit.training.optimizer_step import OptimizerStep
from kdkit.training.performance import Performance, Precision
from kdkit.training.preparation import Preparation, Prepare
from kdkit.training.progress import TrainingProgress
from kdkit.training.recorded_step import make_recorded_step
from kdkit.training.result import TrainingResult
from kdkit.training.run_folder import RunFolder, may_continue
from kdkit.training.run_state import RunState
from kdkit.training.silent_errors import SilentErrors
from kdkit.training.spike_guard import Spike
from kdkit.training.stop_requests import StopRequests
from kdkit.training.stop_signals import TrainingStopped
from kdkit.training.teacher_figures import measured_teachers, teacher_figures
from kdkit.training.tuning import MakeOptimizer, tune


class Trainer:
    """Trains a student through its curriculum, writes checkpoints, and goes on where a run was left.

    Args:
        distiller: student and curriculum.
        train_loader: gives the training batches. Several processes share each of them, so that a batch is as large
            as in one; see ``docs/scaling.md``.
        optimizer: a function from parameters to an optimizer (``partial(torch.optim.Adam, lr=1e-3)``), or an
            optimizer that holds ``distiller.student.parameters()``.
        out: the run's folder: ``config.json``, ``metrics.jsonl``, ``checkpoints/`` and
            ``student.safetensors``.
        prepare: applied to every batch on the training's device, without gradient; gives the batch to learn from.
            It renders targets and normalizes pictures there, for the whole batch. What it gives must depend on the
            batch alone, so that a resumed run learns the same.
        evaluate: called with the bare network (its moving average, where ``ema`` is set) in eval mode, without
            gradients, on the training's device; returns metrics by name. Of several processes each calls it, and
            the first one's metrics count.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated.
        monitor: the metric that decides which checkpoint is the best; the evaluation's first by default.
        mode: whether a larger (``max``) or smaller (``min``) metric is better.
        export: whether ``student.safetensors`` holds the ``best`` or the ``last`` student.
        precision: ``no`` (float32), ``bf16`` or ``fp16`` autocast for the student. By default ``no``, and with
            ``performance="max"`` bf16 on a CUDA device that computes in it (capability 8.0 or more).
        performance: ``default``, ``max`` or the parts of it that are wanted, see :class:`~kdkit.Performance`.
        accumulate: batches whose gradients are averaged for one optimizer step.
        clip_norm: the gradient's largest norm.
        ema: the decay, in (0, 1), of a moving average of the network, which is then evaluated and exported.
        checkpoint_steps: optimizer steps between checkpoints inside an epoch; there is one at every epoch's end.
        keep: how many of the newest checkpoints stay, beside the best: where the newest is damaged, a run goes on
            from the one before.
        log_every: optimizer steps between looks at the losses on an accelerator (each one is a host sync).
        trackers: Accelerate's trackers to log to, for example ``("tensorboard",)``.
        config: further settings of plain JSON types; a run is only gone on with under the same ones.
        notes: what ``config.json`` shall say beside, of plain JSON types; it is never compared.
        metadata: strings for the header of ``student.safetensors``; the checkpoints carry them too.
        cpu: stay on the CPU even where there is an accelerator.
        progress: show bars and lines on standard error.
        spike: what counts as a spike of a loss, or its factor alone, see :class:`~kdkit.Spike`.

    Raises:
        ConfigurationError: if settings do not fit together, or metadata, network or a teacher contradict what the
            training data say of their targets, see :func:`kdkit.training.conventions.check_conventions`.
    """

    def __init__(
        self,
        distiller: Distiller,
        train_loader: Iterable[Batch],
        *,
        optimizer: Optimizer | MakeOptimizer,
        out: str | Path,
        prepare: Prepare | None = None,
        evaluate: Evaluate | None = None,
        evaluate_every: int = 1,
        monitor: str | None = None,
        mode: Literal["max", "min"] = "max",
        export: Literal["best", "last"] = "best",
        precision: Precision | None = None,
        performance: Literal["default", "max"] | Performance = "default",
        accumulate: int = 1,
        clip_norm: float | None = None,
        ema: float | None = None,
        checkpoint_steps: int | None = None,
        keep: int = 2,
        log_every: int = 50,
        trackers: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        cpu: bool = False,
        progress: bool = True,
        spike: float | Spike | None = None,
    ) -> None:
        self.distiller = distiller
        self.folder = RunFolder(out, notes)
        self._export = export
        self._accumulate, self._checkpoint_steps, self._keep = accumulate, checkpoint_steps, keep
        self._metadata = dict(metadata or {})
        counts = {"evaluate_every": evaluate_every, "accumulate": accumulate, "log_every": log_every}
        counts |= {"keep": keep, **({} if checkpoint_steps is None else {"checkpoint_steps": checkpoint_steps})}
        check_settings(counts, ema, clip_norm, mode, export)
        self._evaluation = Evaluation(evaluate, evaluate_every, monitor, mode, distiller.curriculum)
        check_conventions(train_loader, distiller, self._metadata)
        tuning = tune(distiller, optimizer, performance, precision, accumulate=accumulate, cpu=cpu)
        parts, made = tuning.performance, tuning.optimizer
        self._epochs = Epochs(train_loader, Processes.current())
        if self._epochs.batches == 0:
            raise ConfigurationError("the training loader is empty: fewer samples than a batch, with drop_last?")
        options: dict[str, Any] = {
            "precision": tuning.precision,
            "accumulate": accumulate,
            "clip_norm": clip_norm,
            "ema": ema,
            "evaluate_every": evaluate_every,
            "monitor": monitor,
            "mode": mode,
            "export": export,
            "batches": self._epochs.batches,
            # Absent where there is none, as in the runs of before.
            **({} if prepare is None else {"prepare": callable_name(prepare)}),
            **({} if parts == Performance() else {"performance": parts.settings()}),
        }
        self._config = describe_run(distiller, made, options, config or {})
        self._rate = LearningRate(made)
        self._engine = Engine(distiller, made, tuning.precision, ema, parts, trackers, self.folder.path, cpu)
        read = {*distiller.student.reads, *(name for teacher in distiller.teachers for name in teacher.reads)}
        ready = Preparation(prepare, self._engine.device, read if parts.channels_last else ())
        self._progress = TrainingProgress(progress and self._engine.is_main)
        recorded = make_recorded_step(
            *(tuning.recorder, distiller, self._engine, self._rate, clip_norm),
            with_optimizer=tuning.records_optimizer,
            say=self._progress.say,
        )
        self._processes = self._engine.processes
        self._errors = SilentErrors(distiller, self._engine, ready, self._progress, spike)
        self._step = OptimizerStep(
            *(distiller, self._engine, self._rate, ready, clip_norm, log_every, recorded, self._errors),
            even=self._epochs.even,
        )
        parts_of_run = (self._step, self._rate, self._epochs, self._evaluation, self._errors)
        self._state = RunState(distiller, self._engine, *parts_of_run, self._metadata)
        self._stops = StopRequests(self._processes, self._engine.device, log_every, quiet=not progress)
        self._batches = 0  # done in the running epoch
        self._resumed: Mapping[str, Any] | None = None
        self._seconds, self._since = 0.0, time.monotonic()
        self._progress.say([*tuning.notes, *measured_teachers(distiller)])

    def check_folder(self, resume: Literal["auto", "never"] = "auto") -> None:
        """Check that :meth:`fit` can use the folder, before something else that takes long; nothing is changed.

        Args:
            resume: as for :meth:`fit`.

        Raises:
            RunFolderError: if the folder holds another run, or cannot be written to.
        """
        self.folder.check(self._config, may_continue=may_continue(resume))

    def fit(self, resume: Literal["auto", "never"] = "auto") -> TrainingResult:
        """Run the curriculum to its end, or what is left of it.

        Afterwards the network is in eval mode and holds the weights of the last step; the result's file holds the
        best ones by the monitored metric, unless ``export`` is ``last`` or nothing was evaluated.

        While it runs, SIGTERM and SIGINT (Ctrl-C) let it finish the step, save and raise TrainingStopped; an
        evaluation is not waited for. A second one ends the process at once.

        Args:
            resume: ``auto`` goes on with the same run where the folder holds one; ``never`` refuses a folder
                that holds one.

        Raises:
            RunFolderError: if the folder holds another run, another process trains in it, or a file cannot be
                written; the last checkpoint is kept.
            CheckpointError: if no checkpoint of the run can be read.
            TrainingStopped: if it was stopped by a signal; it is no Exception but a SystemExit.
            NonFiniteLossError: if a loss becomes NaN or infinite; the last checkpoint is kept.
            LossSpikeError: if one spikes, and ``spike`` says that this stops the run.
        """
        allowed = may_continue(resume)
        with self._engine.opened_folder(self.folder, self._config, may_continue=allowed) as found:
            return self._fit(found)

    def _fit(self, found: bool) -> TrainingResult:
        curriculum = self.distiller.curriculum
        if found:
            load = partial(self.folder.checkpoints.load, self._progress.say)  # damaged ones are set aside once
            self._load(self._processes.main_first(load))
            self._progress.resume(str(self.folder.path), curriculum, self._batches)
        elif self._engine.is_main:
            self.folder.keep_metrics_until(-1)  # of a run that was stopped before its first checkpoint
        if batches := self._epochs.batches:
            curriculum.steps_per_epoch = -(-batches // self._accumulate)
        self._since = time.monotonic()
        with self._progress, self._stops:
            while not curriculum.finished:
                self._run_epoch()
                self._stops.hear()
                self._stops.stop(unless=curriculum.finished)
        return self._finish()

    def step(self, *batches: Batch) -> Stage | None:
        """Take one optimizer step as :meth:`fit` does, for who measures a step or drives the loop himself.

        It is all of a step: batches made ready, losses, backward, optimizer, moving average, what is watched and
        counted. Epochs, checkpoints and evaluations are not in it. The student is left in the mode it is in.

        Args:
            *batches: those whose gradients are averaged: ``accumulate`` many, or fewer at an epoch's end.

        Returns:
            The stage that this begins, or None.

        Raises:
            ConfigurationError: if no batch is given, or the curriculum is finished.
            NonFiniteLossError: if it was looked at the losses, and one is NaN or infinite.
        """
        if not batches:
            raise ConfigurationError("Trainer.step needs at least one batch")
        if (entered := self._step(batches)) is not None:
            self._enter(entered)
        return entered

    def _enter(self, stage: Stage) -> None:
        if stage.optimizer == "fresh":
            self._step.forget()
            self._engine.reset_optimizer()
        self._step.look()
        self._errors.enter(stage)

    def _run_epoch(self) -> None:
        curriculum = self.distiller.curriculum
        iterator = self._begin_epoch(curriculum.epochs)
        self._progress.begin(curriculum.epochs, curriculum.stage.name, self._epochs.batches, self._batches)
        self.distiller.student.train()
        for group in in_groups(iterator, self._accumulate):
            self.step(*group)
            self._batches += len(group)
            self._progress.advance(len(group))
            if curriculum.finished:
                break
            self._stops.hear(curriculum.steps)
            if self._stops.asked or (self._checkpoint_steps and curriculum.steps % self._checkpoint_steps == 0):
                self._save()
            self._stops.stop(unless=curriculum.finished)
        if self._batches == 0:
            raise ConfigurationError(f"the training loader gave no batch in epoch {curriculum.epochs + 1}")
        self._end_epoch()

    def _begin_epoch(self, epoch: int) -> Iterator[Batch]:
        resumed, self._resumed = self._resumed, None
        if resumed is not None and self._batches:
            return self._epochs.enter(epoch, self._batches, resumed["epoch_random"])
        self._batches = 0
        self._step.begin_epoch()
        return self._epochs.start(epoch)

    def _end_epoch(self) -> None:
        curriculum = self.distiller.curriculum
        self._step.look()
        metrics = self._evaluate() if self._evaluation.is_due else {}
        if not curriculum.finished and (entered := self.distiller.end_epoch(metrics)) is not None:
            self._enter(entered)
        if curriculum.finished and not metrics:
            metrics = self._evaluate()
        improved = self._evaluation.is_improvement(metrics)
        self._seconds += time.monotonic() - self._since
        self._since = time.monotonic()
        line = {
            "step": curriculum.steps,
            "epoch": max(curriculum.epochs, 1),
            "stage": self._step.stage,
            "learning_rate": self._rate.current,
            **self._step.losses.means(),
            **metrics,
            **(teacher_figures(self.distiller) if curriculum.epochs <= 1 else {}),
            **self._errors.spikes.take(),
            "seconds": round(self._seconds, 3),
        }
        self._batches = 0
        if self._engine.is_main:
            self.folder.append_metrics(line)
        self._engine.log(metrics, curriculum.steps)
        self._save(best=improved)
        self._progress.end(line, self._evaluation.monitor)

    def _evaluate(self) -> dict[str, float]:
        self._engine.share_buffers()
        try:
            with self._stops.at_once():
                metrics = self._evaluation.run(self._engine.network_to_export(), self._processes)
        except TrainingStopped:
            # A finished curriculum is not gone on with: its last steps are taken again.
            if not self.distiller.curriculum.finished:
                self._save()
            raise
        self.distiller.student.train()
        return metrics

    def _save(self, *, best: bool = False) -> None:
        self._step.require_finite()
        state = self._state.capture(self._batches, self._seconds + time.monotonic() - self._since)
        if self._engine.is_main:
            self.folder.checkpoints.save(state, keep=self._keep, best=best)

    def _load(self, state: Mapping[str, Any]) -> None:
        self._state.restore(state)
        self._batches, self._seconds = state["batches"], state["seconds"]
        if self._engine.is_main:
            # Inside an epoch its line is still to come, even if one was written before the checkpoint failed.
            self.folder.keep_metrics_until(self.distiller.curriculum.steps - (1 if self._batches else 0))
        self._resumed = state
        self._errors.resume()

    def _finish(self) -> TrainingResult:
        curriculum, evaluated, selected = self.distiller.curriculum, self._evaluation, ""
        if self._engine.is_main:
            last, monitor = self._engine.network_to_export().state_dict(), evaluated.monitor
            stages = [stage.name for stage in curriculum]
            parts = (self.folder.checkpoints, self._export, last, monitor, stages)
            state, selected = choose_student(*parts, say=self._progress.say)
            export_student(state, self.folder.student, {**self._metadata, "selected": selected})
        selected = self._processes.from_main(selected)  # nobody goes on before the file is there
        self._step.forget()
        self._engine.end()
        self.distiller.student.eval()
        return TrainingResult(
            evaluated.metrics, evaluated.best, curriculum.epochs, curriculum.steps, self.folder.student, selected
        )
