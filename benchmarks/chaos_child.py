"""A `kdkit-pose` that kills itself: see chaos.py.

python benchmarks/chaos_child.py MOMENT OCCASION distill ...
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from kdkit.distiller import Distiller
from kdkit.training import checkpoint, run_folder, trainer


class Occasion:
    """Kills this process at the n-th time."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            die()

    @property
    def is_next(self) -> bool:
        """Whether the next time is the one."""
        return self._left == 1


def die() -> None:
    """End at once, as by a lost machine."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str, occasion: Occasion) -> None:
    """Have the process die at a moment."""
    {
        "writing": writing,
        "before its name": before_its_name,
        "after its name": after_its_name,
        "stage": stage,
        "metrics": metrics,
        "student": student,
    }[moment](occasion)


def writing(occasion: Occasion) -> None:
    """In the middle of a checkpoint's file."""
    real = checkpoint._write

    def write(state: Any, file: Any) -> None:
        if occasion.is_next:
            real(state, Half(file))
        occasion()
        real(state, file)

    checkpoint._write = write


class Half:
    """A file whose disk the machine is lost with, after some bytes."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, 100_000

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        count: int = self._file.write(data)
        if self._left < 0:
            self._file.flush()
            die()
        return count

    def flush(self) -> None:
        self._file.flush()


def before_its_name(occasion: Occasion) -> None:
    """When a checkpoint is written, and has not its name."""
    _around_replace(lambda name: name.endswith("last.pt") and occasion(), lambda name: None)


def after_its_name(occasion: Occasion) -> None:
    """When a checkpoint has its name, and nothing came after."""
    _around_replace(lambda name: None, lambda name: name.endswith("last.pt") and occasion())


def _around_replace(before: Callable[[str], object], after: Callable[[str], object]) -> None:
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        before(str(target))
        real(source, target)
        after(str(target))

    os.replace = replace  # type: ignore[assignment]


def stage(occasion: Occasion) -> None:
    """When the distiller enters another stage than the first, before anything is saved."""
    real = Distiller._enter

    def enter(self: Distiller, entered: Any) -> None:
        real(self, entered)
        if self.curriculum.index:
            occasion()

    Distiller._enter = enter  # type: ignore[method-assign]


def metrics(occasion: Occasion) -> None:
    """In the middle of a line of metrics."""
    real = run_folder.RunFolder.append_metrics

    def append(self: Any, line: Any) -> None:
        if occasion.is_next:
            with self.metrics.open("a") as file:
                file.write('{"step": 1, "epo')
                file.flush()
        occasion()
        real(self, line)

    run_folder.RunFolder.append_metrics = append  # type: ignore[method-assign]


def student(occasion: Occasion) -> None:
    """In the middle of the student's file."""
    real = trainer.export_student

    def export(state: Any, path: Any, metadata: Any) -> None:
        path.with_name(f".{path.name}.half").write_bytes(b"half")
        occasion()
        real(state, path, metadata)

    trainer.export_student = export


if __name__ == "__main__":
    moment, number, *arguments = sys.argv[1:]
    arm(moment, Occasion(int(number)))
    sys.argv = ["kdkit-pose", *arguments]
    from kdkit_pose_cli import main

    main()
