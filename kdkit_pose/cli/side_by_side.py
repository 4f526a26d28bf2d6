"""The same work in several processes at once, which share the cores."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

import cv2
import torch

from kdkit import KdkitError

_THREADS = "OMP_NUM_THREADS"


class SideBySideError(KdkitError):
    """Some of several processes failed."""


def run_side_by_side(work: Callable[..., object], arguments: tuple[Any, ...], processes: int) -> None:
    """Do some work in several new processes, and wait for all of them.

    What each of them does is for the work itself to see to, by claims for example. Each has its part of this
    process's threads.

    Args:
        work: a function of a module.
        arguments: its arguments, which can be pickled.
        processes: how many.

    Raises:
        SideBySideError: when all have ended, if some failed; what went wrong was printed by each.
    """
    threads = max(torch.get_num_threads() // processes, 1)
    # Spawned, not forked: forking a process that runs threads (torch, OpenCV) may lock up.
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=_work, args=(work, arguments, threads)) for _ in range(processes)]
    with _environment(_THREADS, str(threads)):
        for process in running:
            process.start()
    try:
        for process in running:
            process.join()
    finally:
        # Stopped by the user, the others would go on without anybody waiting for them.
        for process in running:
            process.terminate()
        for process in running:
            process.join()
    if failed := [process for process in running if process.exitcode]:
        raise SideBySideError(
            f"{len(failed)} of {processes} processes failed, see above; what was finished is kept, and the same "
            f"command goes on with it"
        )


def _work(work: Callable[..., object], arguments: tuple[Any, ...], threads: int) -> None:
    # Ctrl-C reaches all processes of a terminal: the first one asks the others to stop, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        work(*arguments)
    except KdkitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _end_with_parent() -> None:
    """End this process when the one that waits for it has ended, however that was."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for processes that are started meanwhile, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
