"""The process that reads spoilt files: bounded in memory and in the time for each, and watched for code that runs.

It writes a line of JSON a file to its output. Whoever started it kills it where no line comes.
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch

from benchmarks.fuzzing.annotation_targets import annotation_targets
from benchmarks.fuzzing.mutations import CANARY
from benchmarks.fuzzing.stored_targets import stored_targets
from benchmarks.fuzzing.targets import STORED, Files, Target
from kdkit.errors import KdkitError

MEMORY = 2 * 2**30
SECONDS = 5.0

# What running code from a file would most likely do; no reader does any of it.
_RUNS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)


class _Hang(BaseException):
    """More than the allowed seconds."""


def targets_of(group: str, folder: Path) -> list[Target]:
    """The targets of a group; an empty folder is needed to make their valid files in."""
    found = stored_targets(folder) if group == STORED else annotation_targets(folder)
    return [target for target in found if target.group == group]


def spoilt(targets: list[Target], seed: int, number: int) -> tuple[Target, Files]:
    """The file of a number: whose it is, and what changes; always the same for the same seed."""
    target = targets[number % len(targets)]
    return target, target.spoil(Random(f"{seed} {target.name} {number}"), target.files)


def run(group: str, seed: int, numbers: range) -> Iterator[dict[str, Any]]:
    """Read the spoilt files of some numbers, and say what came of each; first of all, that it begins."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ran: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "made").mkdir()
        targets = targets_of(group, folder / "made")
        places = {target.name: _write(folder / str(row), target.files) for row, target in enumerate(targets)}
        for target in targets:
            target.read(places[target.name])  # valid files are read, and what is loaded late is there
        os.chdir(folder)
        sys.addaudithook(lambda event, _: ran.append(event) if event in _RUNS else None)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        yield {"begins": numbers.start}
        for number in numbers:
            target, changed = spoilt(targets, seed, number)
            place = places[target.name]
            _write(place, changed)
            started, cpu = time.monotonic(), time.process_time()
            del ran[:]
            outcome = _read(target, place)
            if ran or Path(CANARY).exists():
                outcome = {"outcome": "code ran", "detail": ", ".join(ran) or "the canary"}
                shutil.rmtree(CANARY, ignore_errors=True)
            _restore(place, target.files)
            seconds = {"seconds": time.monotonic() - started, "cpu": time.process_time() - cpu}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            yield {"number": number, "target": target.name, **outcome, **seconds, "peak": peak}


def _read(target: Target, place: Path) -> dict[str, str]:
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        target.read(place)
    except KdkitError as error:
        return {"outcome": type(error).__name__}
    except _Hang:
        return {"outcome": "hang", "detail": traceback.format_exc(limit=-6)}
    except BaseException as error:
        return {"outcome": f"crash: {type(error).__name__}", "detail": traceback.format_exc(limit=-6)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"outcome": "read"}


def _stop(*_: object) -> None:
    raise _Hang


def _write(place: Path, files: Files) -> Path:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place


def _restore(place: Path, files: Files) -> None:
    """Put the valid files back: a reader may have written something, too."""
    for path in place.rglob("*"):
        if path.is_file() and path.relative_to(place).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        if not (place / name).exists() or (place / name).read_bytes() != content:
            (place / name).write_bytes(content)


def main(group: str, seed: str, start: str, stop: str) -> None:
    """Print the outcomes, each as soon as it is known."""
    # Whatever else a library prints must not come between.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in run(group, int(seed), range(int(start), int(stop))):
        print(json.dumps(line), file=output, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
