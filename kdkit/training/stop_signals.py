"""SIGTERM and SIGINT while a run trains: what was begun is finished and saved before the process ends."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGTERM", "SIGINT")


class TrainingStopped(SystemExit):
    """A run was stopped by a signal, saved, and can be gone on with.

    Not caught, it ends the process with 128 and the signal's number, as a shell has it: 143 for SIGTERM, 130 for
    SIGINT.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = number


class StopSignals:
    """A context in which the first SIGTERM or SIGINT only asks to stop; a second one ends the process as usual.

    A handler of the user's own is left alone, and so are all where the context is not entered in the main thread,
    in which alone Python has signals.

    Args:
        quiet: do not say on standard error that it was noticed.

    Attributes:
        asked: the number of the signal that asked to stop, or None.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        self._at_once = False
        self.asked: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A part that nothing is lost by leaving: a signal raises TrainingStopped in the middle of it."""
        if self.asked is not None:
            raise TrainingStopped(self.asked)
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a loader's worker, which has inherited this
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._restore()
        self.asked = number
        if not self._quiet:
            name = signal.Signals(number).name
            told = f"{name}: ends when the step is finished and saved; at once at the next signal\n"
            os.write(2, told.encode())  # whatever the stream was doing when the signal came
        if self._at_once:
            raise TrainingStopped(number)

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
