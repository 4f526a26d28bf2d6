"""What the processes of a run are asked by signals, so that all of them stop at the same step."""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

import torch

from kdkit.processes import Processes
from kdkit.training.stop_signals import StopSignals, TrainingStopped


class StopRequests:
    """A context in which SIGTERM or SIGINT, to any process, asks all of them to stop.

    Args:
        processes: those that train together.
        device: where they train: for GPUs to answer, the host must wait for them.
        every: optimizer steps between questions where it must.
        quiet: do not say on standard error that a signal was noticed.

    Attributes:
        asked: the number of the signal that asked to stop, as all processes know it, or None.
    """

    def __init__(self, processes: Processes, device: torch.device, every: int, *, quiet: bool) -> None:
        self._processes = processes
        self._every = 1 if device.type == "cpu" or not processes.several else every
        self._signals = StopSignals(quiet=quiet or not processes.is_main)
        self.asked: int | None = None

    def __enter__(self) -> Self:
        self._signals.asked = self.asked = None
        self._signals.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.__exit__(kind, error, trace)

    def hear(self, step: int | None = None) -> None:
        """Ask every process whether it was asked to stop.

        Args:
            step: leave it for later where it is not this step's turn; without it, ask at once.
        """
        if step is None or step % self._every == 0:
            self.asked = self._processes.largest(self._signals.asked or 0) or None

    def stop(self, *, unless: bool) -> None:
        """Raise TrainingStopped if any process was asked to stop.

        Args:
            unless: there is nothing left to stop.
        """
        if self.asked is not None and not unless:
            raise TrainingStopped(self.asked)

    def at_once(self) -> AbstractContextManager[None]:
        """Return the context of a part that nothing is lost by leaving.

        Several processes wait for each other in it: none may leave alone.
        """
        return nullcontext() if self._processes.several else self._signals.at_once()
