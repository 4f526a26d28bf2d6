"""One step of the optimizer."""

from collections.abc import Sequence

import torch

from kdkit.batch import Batch, batch_size
from kdkit.distiller import Distiller
from kdkit.errors import ConfigurationError, NonFiniteLossError
from kdkit.stage import Stage
from kdkit.training.engine import Engine
from kdkit.training.finite_guard import FiniteGuard
from kdkit.training.learning_rate import LearningRate
from kdkit.training.loss_means import LossMeans
from kdkit.training.preparation import Preparation
from kdkit.training.recorded_step import RecordedStep
from kdkit.training.silent_errors import SilentErrors


class OptimizerStep:
    """Takes the distiller through one optimizer step after the other.

    Between looks at the losses nothing makes the host wait for the device.

    Args:
        distiller: gives the losses.
        engine: computes.
        rate: sets the learning rate.
        prepare: makes batches ready.
        clip_norm: the gradient's largest norm, or None.
        log_every: optimizer steps between looks at the losses on an accelerator; on the CPU, where looking is
            free, it is done at every step, before the optimizer's where that is not recorded.
        recorded: takes the steps by replaying them, where that is asked for.
        errors: looks at batches and losses, too.
        even: whether all processes get equally many samples of each batch.

    Attributes:
        losses: the running epoch's.
        stage: the name of the last step's stage.
    """

    def __init__(
        self,
        distiller: Distiller,
        engine: Engine,
        rate: LearningRate,
        prepare: Preparation,
        clip_norm: float | None,
        log_every: int,
        recorded: RecordedStep | None = None,
        errors: SilentErrors | None = None,
        *,
        even: bool = True,
    ) -> None:
        self._distiller, self._engine, self._rate, self._prepare = distiller, engine, rate, prepare
        self._clip_norm, self._log_every = clip_norm, log_every
        self._always_looks = engine.device.type == "cpu"
        self._recorded = recorded
        self._even, self._errors = even, errors
        self._guard = FiniteGuard(engine.processes, None if errors is None else errors.spikes)
        self.losses = LossMeans(engine.processes)
        self.stage = ""

    def __call__(self, group: Sequence[Batch]) -> Stage | None:
        """Learn from the batches of one step; return the stage that this begins, or None.

        Raises:
            NonFiniteLossError: if it was looked at the losses, and one is NaN or infinite.
        """
        curriculum, engine = self._distiller.curriculum, self._engine
        step = curriculum.steps + 1
        rate = self._rate.apply(curriculum)
        self.stage = curriculum.stage.name
        logs = step % self._log_every == 0
        if self._recorded is None:
            for batch in group[:-1]:
                with engine.no_sync():
                    self._learn(batch, step, len(group))
            parts = self._learn(group[-1], step, len(group))
            if self._always_looks or logs:
                self.look()
            engine.step(self._clip_norm)
        else:
            parts = self._replay(group, step, self._recorded)
            if self._always_looks or logs:
                self.look()
        entered = self._distiller.advance()
        if logs:
            values = {f"loss/{name}": float(engine.processes.mean(part)) for name, part in parts.items()}
            engine.log({**values, "learning_rate": rate}, step)
        return entered

    def begin_epoch(self) -> None:
        """Begin the means of the losses anew."""
        self.losses = LossMeans(self._engine.processes)

    def forget(self) -> None:
        """Drop what was recorded: something changes that it rests on, or it is no longer needed."""
        if self._recorded is not None:
            self._recorded.forget()

    def look(self) -> None:
        """Sum the losses up and raise if one was not finite; this waits for the device.

        Raises:
            NonFiniteLossError: naming the step, the term and the samples.
        """
        try:
            self._guard.check()
        except NonFiniteLossError:
            if self._always_looks and self._recorded is None:  # and so before the optimizer's step
                self._engine.require_finite(self._distiller.curriculum.steps)
            raise
        self.losses.sum_up()

    def require_finite(self) -> None:
        """Raise if a loss was not finite, or the weights are not; this waits for the device.

        Raises:
            NonFiniteLossError: if they are not.
        """
        self.look()
        self._engine.require_finite(self._distiller.curriculum.steps)

    def _ready(self, host_batch: Batch) -> Batch:
        batch = self._prepare(host_batch)
        if self._errors is not None:
            self._errors.begin(batch)
        return batch

    def _learn(self, host_batch: Batch, step: int, share: int) -> dict[str, torch.Tensor]:
        """Add a batch's gradients and return its losses by objective."""
        batch = self._ready(host_batch)
        self._engine.begin()
        losses = self._distiller(batch)
        self._guard.watch(step, losses, batch)
        weight = None if self._even else self._weight(batch)
        total = losses.total if weight is None else losses.total * weight
        self._engine.backward(total if share == 1 else total / share)
        self.losses.add(losses, weight)
        return losses.parts if weight is None else {name: part * weight for name, part in losses.parts.items()}

    def _weight(self, batch: Batch) -> torch.Tensor:
        """Return how much this process's share of a batch counts beside a mean one, [], by its samples."""
        count = torch.tensor(float(batch_size(batch)), dtype=torch.float64, device=self._engine.device)
        return count / self._engine.processes.mean(count)

    def _replay(self, group: Sequence[Batch], step: int, recorded: RecordedStep) -> dict[str, torch.Tensor]:
        """Take the whole step and return its losses by objective."""
        if len(group) > 1:
            raise ConfigurationError(
                f"Trainer: a step that is recorded as a CUDA graph is of one batch, found {len(group)}: leave out "
                f"Performance(cuda_graph=True), or give one batch a step"
            )
        batch = self._ready(group[0])
        losses = recorded(batch)
        self._guard.watch(step, losses, batch)
        self.losses.add(losses)
        return losses.parts
