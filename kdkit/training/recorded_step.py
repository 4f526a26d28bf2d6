"""The whole step, recorded once and replayed from then on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdkit.batch import Batch
from kdkit.distiller import Distiller
from kdkit.step_losses import StepLosses
from kdkit.training.engine import Engine
from kdkit.training.host_random import host_random_state
from kdkit.training.learning_rate import LearningRate
from kdkit.training.loss_report import LossReport
from kdkit.training.recorder import Recorder, Replay
from kdkit.training.static_batch import Form, StaticBatch, form_of, host_fields
from kdkit.training.step_fixtures import StepFixtures

REHEARSALS = 3
"""Steps that are run first as they will be recorded: optimizer, compiler and libraries set things up in them."""


@dataclass(frozen=True)
class _Recording:
    replay: Replay
    report: LossReport
    gradients: list[tuple[nn.Parameter, Tensor]]


class RecordedStep:
    """Takes optimizer steps of one batch, by replaying a recording where there is one that fits.

    Every step learns: the first ones of a stage are run as they are, then one is recorded. There is a recording
    for each set of objectives whose weight is not 0. All hold for batches of one form, the first that was seen
    often enough; a batch of another form, such as an epoch's last, is run as it is. All are dropped where
    something changed that they rest on: the stage, what trains, a mode, where a weight lies in memory.

    Args:
        distiller: gives the losses; weights that change are handed to it as tensors.
        engine: computes.
        recorder: records.
        clip_norm: the gradient's largest norm, or None.
        with_optimizer: whether the optimizer's step, clipping and the moving average are recorded too; else they
            follow each replay, on the gradients it left.
        say: prints why nothing is recorded, where that is only found when it is tried.

    Attributes:
        recordings: how many were made.
    """

    def __init__(
        self,
        distiller: Distiller,
        engine: Engine,
        recorder: Recorder,
        clip_norm: float | None,
        *,
        with_optimizer: bool,
        say: Callable[[list[str]], None],
    ) -> None:
        self._distiller, self._engine, self._recorder, self._clip_norm = distiller, engine, recorder, clip_norm
        self._with_optimizer, self._say = with_optimizer, say
        self._fixtures = StepFixtures(distiller)
        self._is_given_up = False
        self._form: Form | None = None
        self.recordings = 0
        self._forget()

    def __call__(self, batch: Batch) -> StepLosses:
        """Take one optimizer step and return its losses, without their graph.

        Raises:
            ConfigurationError: if it turns out that the step cannot be recorded, and nothing can go on.
        """
        weights = self._distiller.weights
        if not self._is_given_up and (names := host_fields(batch)):
            self._give_up(f"the batch's fields {names} are no tensors")
        if self._is_given_up:
            return self._run(batch, weights)
        if self._fixtures.have_moved():
            self._forget()
        form, active = form_of(batch), tuple(weights)
        if self._form not in (None, form):
            return self._run(batch, weights)
        if (known := self._known.get(active)) is not None:
            return self._replay(known, batch, weights)
        self._seen[form, active] += 1
        seen = self._seen[form, active]
        if seen <= REHEARSALS:
            return self._rehearse(batch, weights, is_last=seen == REHEARSALS)
        self._form = form
        return self._record(batch, weights, active)

    def forget(self) -> None:
        """Drop all recordings and their memory."""
        self._fixtures.forget()
        self._forget()

    def _forget(self) -> None:
        self._known: dict[tuple[str, ...], _Recording] = {}
        self._seen: Counter[tuple[Form, tuple[str, ...]]] = Counter()
        self._form = None
        self._batch: StaticBatch | None = None
        self._scales: dict[str, Tensor] = {}
        self._filled: dict[str, float] = {}
        self._recorder.forget()

    def _run(self, batch: Batch, weights: dict[str, float]) -> StepLosses:
        losses = self._distiller.compute_losses(batch, weights)
        self._engine.backward(losses.total)
        self._engine.step(self._clip_norm)
        return StepLosses(losses.total.detach(), losses.parts, losses.samples, weights)

    def _work(self, batch: Batch, weights: dict[str, float]) -> LossReport:
        """Do what is recorded; afterwards nothing of it is left but the report, and gradients that are wanted."""
        losses = self._distiller.compute_losses(batch, weights, self._scales)
        self._engine.backward(losses.total)
        report = LossReport(losses)
        if self._with_optimizer:
            self._engine.step(self._clip_norm)
        return report

    def _rehearse(self, batch: Batch, weights: dict[str, float], *, is_last: bool) -> StepLosses:
        self._fill_scales(weights)
        random, buffers = host_random_state(self._engine.device), self._fixtures.buffers()
        report, fault = self._recorder.rehearse(lambda: self._work(batch, weights))
        if not self._with_optimizer:
            self._engine.step(self._clip_norm)
        if is_last:
            if host_random_state(self._engine.device) != random:
                fault = fault or "the step draws random numbers on the host"
            if replaced := self._fixtures.replaced(buffers):
                fault = fault or f"the network replaces its buffer '{replaced}', instead of changing it in place"
            if fault:
                self._give_up(fault)
        return report.read(weights)

    def _record(self, batch: Batch, weights: dict[str, float], active: tuple[str, ...]) -> StepLosses:
        static = self._fill(batch, weights)
        report, replay = self._recorder.record(lambda: self._work(static.fields, weights))
        gradients = [(value, value.grad) for value in self._fixtures.parameters if value.grad is not None]
        self._known[active] = _Recording(replay, report, gradients)
        self.recordings += 1
        if not self._with_optimizer:
            self._engine.step(self._clip_norm)
        return report.read(weights)

    def _replay(self, recording: _Recording, batch: Batch, weights: dict[str, float]) -> StepLosses:
        self._fill(batch, weights)
        recording.replay()
        if self._with_optimizer:
            self._engine.count_replayed()
        else:
            # Where the recorded backward leaves them; clearing gradients only lets go of them.
            for value, gradient in recording.gradients:
                value.grad = gradient
            self._engine.step(self._clip_norm)
        return recording.report.read(weights)

    def _fill(self, batch: Batch, weights: dict[str, float]) -> StaticBatch:
        self._fill_scales(weights)
        if self._batch is None:
            self._batch = StaticBatch(batch)
        else:
            self._batch.fill(batch)
        return self._batch

    def _fill_scales(self, weights: dict[str, float]) -> None:
        """Write the weights that change within the stage into their tensors, where they have changed."""
        for objective in self._distiller.stage.objectives:
            name = objective.name
            if name not in weights or objective.schedule.is_constant:
                continue
            if name not in self._scales:
                self._scales[name] = torch.zeros((), dtype=torch.float64, device=self._engine.device)
            if self._filled.get(name) != weights[name]:
                self._scales[name].fill_(weights[name])
                self._filled[name] = weights[name]

    def _give_up(self, fault: str) -> None:
        self._is_given_up = True
        self._forget()
        self._say([f"the step is not recorded as a CUDA graph, it runs as it is: {fault}"])


def make_recorded_step(
    recorder: Recorder | None,
    distiller: Distiller,
    engine: Engine,
    rate: LearningRate,
    clip_norm: float | None,
    *,
    with_optimizer: bool,
    say: Callable[[list[str]], None],
) -> RecordedStep | None:
    """Return the step by a recorder, with learning rates on the device where it sets the optimizer's, or None."""
    if recorder is None:
        return None
    if with_optimizer:
        rate.keep_on_device(engine.device)
    return RecordedStep(distiller, engine, recorder, clip_norm, with_optimizer=with_optimizer, say=say)
