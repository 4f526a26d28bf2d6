"""The checkpoints of a run: the newest, those before it, and the best."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdkit.errors import CheckpointError, RunFolderError
from kdkit.training.checkpoint import load_checkpoint, save_checkpoint

Say = Callable[[Sequence[str]], object]


class KeptCheckpoints:
    """``last.pt``, ``before-1.pt``, ``before-2.pt`` and so on, the older the higher, and ``best.pt``.

    At every moment one of them is whole, however the process ends.

    Args:
        folder: made with the first checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best metric."""
        return self.folder / "best.pt"

    def before(self, count: int) -> Path:
        """The checkpoint that is so many older than the newest."""
        return self.folder / f"before-{count}.pt" if count else self.last

    @property
    def to_go_on_from(self) -> list[Path]:
        """The checkpoints that are there, but for the best: the newest first."""
        older = self.folder.glob("before-*.pt")
        numbers = sorted(int(number) for path in older if (number := path.stem.partition("-")[2]).isdecimal())
        return [path for path in (self.last, *map(self.before, numbers)) if path.exists()]

    def save(self, state: Mapping[str, Any], *, keep: int, best: bool) -> None:
        """Write a run's state as the newest checkpoint.

        Args:
            state: the run's.
            keep: how many of the newest to keep, this one among them.
            best: whether it is the best one, too.

        Raises:
            RunFolderError: if it cannot be written; those that are there are as they were, or older by one.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if best:
                save_checkpoint(state, self.best)
            self._make_older(keep)
            save_checkpoint(state, self.last)
        except OSError as error:
            left = [path for path in (self.to_go_on_from if self.folder.is_dir() else []) if path.stat().st_size]
            told = f"'{left[0]}' is intact, and the run can go on from it" if left else "there is no older one"
            raise RunFolderError(
                f"the checkpoint '{self.last}' cannot be written ({_reason(error)}): {told}; make room, or let it "
                f"be written there, and start the same again"
            ) from error

    def load(self, say: Say) -> dict[str, Any]:
        """Return the state of the newest checkpoint that can be read.

        One that is damaged is kept under another name, and the one before it is taken.

        Args:
            say: called with what the user should know.

        Raises:
            CheckpointError: if none can be read.
        """
        damaged: dict[Path, str] = {}  # no exceptions: they would keep this frame, and with it the whole run
        for path in self.to_go_on_from:
            try:
                state = load_checkpoint(path)
            except CheckpointError as error:
                damaged[path] = str(error)
                continue
            for other, reason in damaged.items():
                aside = self.set_aside(other)
                say([f"{reason}; it is kept as '{aside.name}', and '{path.name}' is taken in its place"])
            return state
        raise CheckpointError(next(iter(damaged.values()), f"there is no checkpoint in '{self.folder}'"))

    def aside(self, path: Path) -> Path:
        """Where a checkpoint is kept that is damaged."""
        return path.with_suffix(".damaged")

    def set_aside(self, path: Path) -> Path:
        """Keep a damaged checkpoint under another name, and return that."""
        os.replace(path, self.aside(path))
        return self.aside(path)

    def _make_older(self, keep: int) -> None:
        """Give the newest its older name, beside its own, and so with those before it; remove what is too old."""
        for age, path in reversed(list(enumerate(self.to_go_on_from, start=1))):
            if path == self.last:
                if keep > 1:
                    _name_too(path, self.before(age))
            elif age < keep:
                os.replace(path, self.before(age))
            else:
                path.unlink()


def _name_too(path: Path, other: Path) -> None:
    """Give a file a second name, or where a file system knows none, move it there."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        os.replace(path, other)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
