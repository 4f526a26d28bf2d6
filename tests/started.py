"""Programs started as ``torchrun`` does, once for each process."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
WARNINGS = (
    *("-W", os.environ.get("KDKIT_TEST_WARNINGS", "error")),
    *("-W", "ignore:This process (pid=:DeprecationWarning"),
    *("-W", "ignore:Guards may run slower:RuntimeWarning"),
)
"""Python's options: what becomes of a warning in a program that a test starts; other versions of packages have
others. What is ignored is what ``pyproject.toml`` ignores, too."""


def start(count: int, arguments: Sequence[str], **extra: str) -> list[subprocess.Popen[str]]:
    """Start Python on arguments, in processes that are told of each other where there are several."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | extra
    own = [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {} for rank in range(count)]
    return [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env={**settings, **own[rank]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def run(count: int, arguments: Sequence[str], **extra: str) -> list[tuple[int, str, str]]:
    """Return exit code, output and errors of each process."""
    processes = start(count, arguments, **extra)
    told = [process.communicate(timeout=240) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, told, strict=True)]
