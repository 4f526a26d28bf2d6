"""What computes: the student, its optimizer and its moving average, on Accelerate's device and precision."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, is_tensorboard_available
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from kdkit.distiller import Distiller
from kdkit.errors import CheckpointError, ConfigurationError, NonFiniteLossError, RunFolderError
from kdkit.module_teacher import ModuleTeacher
from kdkit.processes import Processes, stays_on_cpu
from kdkit.student import Student
from kdkit.training.moving_average import MovingAverage
from kdkit.training.performance import Performance, Precision
from kdkit.training.run_folder import RunFolder


class Engine:
    """The moving parts of a run.

    Args:
        distiller: its student is prepared for the device.
        optimizer: over the student's parameters.
        precision: of the student's autocast.
        ema: the moving average's decay, or None for no average.
        performance: how the student is laid out and run.
        trackers: names of Accelerate's trackers.
        folder: where trackers write.
        cpu: stay on the CPU.

    Raises:
        ConfigurationError: if a tracker is not installed, or several processes were started and not joined.
    """

    def __init__(
        self,
        distiller: Distiller,
        optimizer: Optimizer,
        precision: Precision,
        ema: float | None,
        performance: Performance,
        trackers: Sequence[str],
        folder: Path,
        cpu: bool,
    ) -> None:
        _check_trackers(trackers)
        # Accelerate keeps the first precision for the whole process; every run has its own here.
        AcceleratorState._reset_state()
        self._accelerator = Accelerator(
            mixed_precision=precision,
            cpu=stays_on_cpu(cpu),
            log_with=list(trackers) or None,
            project_dir=str(folder),
        )
        self.processes = Processes.current(self.device)
        """Those that train together."""
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if started > 1 and not self.processes.several:
            raise ConfigurationError(
                f"the environment says that {started} processes were started (WORLD_SIZE), but they have not been "
                f"joined, so that each would train alone: start them by torchrun or accelerate launch, or unset it"
            )
        self._student = distiller.student
        _check_adaptors(distiller.student, optimizer)
        _check_optimizer(distiller.student, optimizer)
        if distiller.run_student is not distiller.student:
            raise ConfigurationError(
                "the distiller's student was compiled or wrapped before the Trainer was made, which prepares it "
                "itself: make the Trainer first, then call distiller.compile(...)"
            )
        _unwrap(distiller.student)  # of an earlier run's precision
        distiller.over_processes = self.processes.mean if self.processes.several else None
        if self.processes.several:
            distiller.distribute(partial(self._distributed, leaves_out=leaves_out(distiller)))
        else:
            distiller.run_student = self._accelerator.prepare(distiller.student)
        self._runner = distiller.run_student
        distiller.to(self.device)
        self._optimizer = optimizer
        if optimizer.state:
            optimizer.load_state_dict(optimizer.state_dict())  # moves it to where the parameters are now
        self._parameters = tuple(distiller.student.parameters())
        self._performance = performance
        self._lay_out_and_compile(distiller)
        # Made after the student is on its device and laid out, and never trained.
        self._average = MovingAverage(self._student.module, ema) if ema is not None else None
        self._trackers = tuple(trackers)

    def _distributed(self, student: Student, *, leaves_out: bool) -> DistributedDataParallel:
        """Return the student on its device, with gradients that are averaged over the processes."""
        self._accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=leaves_out)
        wrapped: DistributedDataParallel = self._accelerator.prepare(student)
        return wrapped

    def _lay_out_and_compile(self, distiller: Distiller) -> None:
        if self._performance.channels_last:
            lay_out(self._student.module, torch.channels_last)
            for member in (member for teacher in distiller.teachers for member in teacher.members):
                if isinstance(member, ModuleTeacher):
                    lay_out(member.module, torch.channels_last)
        if (mode := self._performance.compile_mode) is not None:
            distiller.compile(mode=mode)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device(self._accelerator.device)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files."""
        return bool(self._accelerator.is_main_process)

    @contextmanager
    def opened_folder(self, folder: RunFolder, config: Mapping[str, Any], *, may_continue: bool) -> Iterator[bool]:
        """Hold the run's folder and start the trackers; yield whether there is a run to go on with.

        Raises:
            RunFolderError: if the folder holds another run, another process trains in it, it cannot be written
                to, or is not the same folder in every process.
        """
        with ExitStack() as held:
            opened = folder.opened(config, may_continue=may_continue)
            found = self.processes.by_main(lambda: held.enter_context(opened))
            if not folder.config.exists() or (found and not folder.checkpoints.to_go_on_from):
                raise RunFolderError(
                    f"process {self.processes.rank} of {self.processes.count} does not see what the first one "
                    f"sees in '{folder.path}': give a folder that all machines share"
                )
            if self._trackers:
                self._accelerator.init_trackers("logs")
            yield found

    def no_sync(self) -> AbstractContextManager[Any]:
        """Return a context in which gradients are not exchanged between processes."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(self._runner)
        return context

    def begin(self) -> None:
        """Say that a batch begins: CUDA graphs may use the last one's memory again."""
        if self._performance.uses_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]

    def backward(self, loss: Tensor) -> None:
        """Add the loss's gradients; of several processes, the last batch of a step makes them everyone's mean."""
        scaler = self._accelerator.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()

    def step(self, clip_norm: float | None) -> None:
        """Clip the gradients, step, clear them, and update the moving average."""
        # Accelerate's optimizer would do the same, and look for installed packages at every step.
        scaler = self._accelerator.scaler
        if clip_norm is not None:
            if scaler is not None:
                scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._parameters, clip_norm)
        if scaler is None:
            self._optimizer.step()
        else:
            scaler.step(self._optimizer)
            scaler.update()
        self._optimizer.zero_grad()
        if self._average is not None:
            self._average.update()

    def require_finite(self, steps: int) -> None:
        """Raise if a weight became NaN or infinite; this waits for the device.

        Args:
            steps: how many there were.

        Raises:
            NonFiniteLossError: in every process.
        """
        networks = (self._student, *(() if self._average is None else (self._average.module,)))
        weights = [value.detach() for network in networks for value in network.parameters()]
        weights = [value for value in weights if value.is_floating_point() and value.numel()]
        largest = torch._foreach_norm(weights, float("inf")) if weights else ()
        fine = not weights or bool(torch.stack([one.float() for one in largest]).isfinite().all())
        if self.processes.largest(int(not fine)):
            raise NonFiniteLossError(
                f"the student's weights became NaN or infinite at step {steps} or shortly before, and no loss "
                f"did: a gradient was not finite, as that of a root or a quotient at 0 (x.sqrt() where x is 0): "
                f"add a small number there, or look at the learning rate; the last checkpoint is from before"
            )

    def count_replayed(self) -> None:
        """Count what the host counts of a step that was replayed, as :meth:`step` does."""
        if self._average is not None:
            self._average.count_replayed()

    def reset_optimizer(self) -> None:
        """Forget the optimizer's momenta."""
        self._optimizer.state.clear()

    def share_buffers(self) -> None:
        """Give the network to export the first process's buffers: each has seen other samples."""
        self.processes.copy_from_main([*self.network_to_export().buffers()])

    def network_to_export(self) -> nn.Module:
        """Return the bare network, or its moving average."""
        module: nn.Module = self._student.module if self._average is None else self._average.module
        return module

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send values to the trackers."""
        if self._trackers and values:
            self._accelerator.log(dict(values), step=step)

    def end(self) -> None:
        """Close the trackers, and leave the student as it was: laid out as usual, in its own precision."""
        _unwrap(self._student)
        if self._performance.channels_last:
            lay_out(self._student.module, torch.contiguous_format)
        if self._trackers:
            self._accelerator.end_training()

    def state_dict(self) -> dict[str, Any]:
        """Return all states; ``network`` is the one to export, which plain PyTorch loads."""
        scaler = self._accelerator.scaler
        return {
            "network": self.network_to_export().state_dict(),
            "student": self._student.module.state_dict() if self._average is not None else None,
            "adaptors": self._student.adaptors.state_dict(),
            "averaged": self._average.updates if self._average is not None else None,
            "optimizer": with_plain_rates(self._optimizer.state_dict()),
            "scaler": scaler.state_dict() if scaler is not None else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put everything where :meth:`state_dict` was taken.

        Raises:
            CheckpointError: if the states are of another network.
        """
        try:
            self.network_to_export().load_state_dict(state["network"])
            if self._average is not None:
                self._student.module.load_state_dict(state["student"])
                self._average.updates = state["averaged"]
            self._student.adaptors.load_state_dict(state["adaptors"])
        except RuntimeError as error:
            raise CheckpointError(f"the checkpoint does not fit the student: {error}") from error
        self._optimizer.load_state_dict(state["optimizer"])
        if state["scaler"] is not None and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state["scaler"])


def leaves_out(distiller: Distiller) -> bool:
    """Return whether a stage may leave a part of the student without a gradient: frozen, or of no objective."""
    outputs = {*distiller.student.outputs} - {*distiller.student.features.places}
    for stage in distiller.curriculum:
        steady = [one for one in stage.objectives if one.schedule.is_constant and not one.is_off]
        if stage.freeze or outputs - {one.output for one in steady}:
            return True
    return False


def with_plain_rates(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimizer's state with learning rates that are numbers, where they are tensors of a device."""
    return {**state, "param_groups": [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]}


def lay_out(network: nn.Module, memory_format: torch.memory_format) -> None:
    """Lay the weights of a network's convolutions out in a memory format, in place; their values stay."""
    for value in network.parameters():
        if value.ndim == 4:
            value.data = value.data.contiguous(memory_format=memory_format)


def _check_adaptors(student: Student, optimizer: Optimizer) -> None:
    trained = {id(value) for group in optimizer.param_groups for value in group["params"]}
    for name, value in student.adaptors.named_parameters():
        if value.requires_grad and id(value) not in trained:
            raise ConfigurationError(
                f"the optimizer does not hold the adaptor's parameter '{name}', which would never train: make it "
                f"from student.parameters() after the Distiller, or give the Trainer a function"
            )


def _check_optimizer(student: Student, optimizer: Optimizer) -> None:
    """Refuse an optimizer of another network, or of a copy: it may hold a part alone, but not nothing."""
    trained = {id(value) for group in optimizer.param_groups for value in group["params"]}
    own = [value for value in student.module.parameters() if value.requires_grad]
    if own and not any(id(value) in trained for value in own):
        raise ConfigurationError(
            "the optimizer holds none of the student's parameters, which would never train: make it from "
            "student.parameters() of this very student, or give the Trainer a function"
        )


def _unwrap(student: Student) -> None:
    """Take Accelerate's autocast off, which it puts over the student's own ``forward``, and its mark."""
    for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
        vars(student).pop(name, None)


def _check_trackers(trackers: Sequence[str]) -> None:
    if isinstance(trackers, str):
        raise ConfigurationError(f"trackers={trackers!r} must be a list of names")
    if "tensorboard" in trackers and not is_tensorboard_available():
        raise ConfigurationError("tensorboard is not installed: pip install 'kdkit[tensorboard]'")
