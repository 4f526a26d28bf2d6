"""The folder a run writes to."""

import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

from kdkit.claims import claim
from kdkit.errors import ConfigurationError, RunFolderError
from kdkit.files import remove_leftovers, write_atomically
from kdkit.json_files import parse_json, read_bytes, read_json
from kdkit.training.kept_checkpoints import KeptCheckpoints

_OURS = ("config.json", "metrics.jsonl", "checkpoints", "student.safetensors")


class RunFolder:
    """``config.json``, ``metrics.jsonl``, ``checkpoints/`` and ``student.safetensors`` of one run.

    Args:
        path: the folder, made when a run is opened.
        notes: what ``config.json`` also says, of plain JSON types, and is never compared.
    """

    def __init__(self, path: str | Path, notes: Mapping[str, Any] | None = None) -> None:
        self.path, self._notes = Path(path), dict(notes or {})

    @property
    def config(self) -> Path:
        """What the run was started with."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """A line of JSON an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> KeptCheckpoints:
        """The newest checkpoint, those before it, and the best."""
        return KeptCheckpoints(self.path / "checkpoints")

    @property
    def student(self) -> Path:
        """The finished student."""
        return self.path / "student.safetensors"

    @property
    def finished(self) -> bool:
        """Whether a run in it has come to its end."""
        return bool(self.checkpoints.to_go_on_from) and self.student.exists()

    def check(self, config: Mapping[str, Any], *, may_continue: bool = True, partial: bool = False) -> None:
        """Check that a run can begin here, or go on; nothing is changed.

        Args:
            config: what the run is started with, of plain JSON types.
            may_continue: whether a run with the same config that is already there may be gone on with.
            partial: whether ``config`` is only what is known of it so far: what is not in it may differ.

        Raises:
            RunFolderError: if the folder holds another run, or cannot be written to.
        """
        self._require_place()
        if not (present := self._present()):
            return
        if not may_continue:
            raise RunFolderError(
                f"the output folder '{self.path}' holds a run already ({', '.join(present)}): give another "
                f"folder, or go on with that run (resume='auto')"
            )
        self._require_same(json.loads(json.dumps(config)), partial)

    def open(self, config: Mapping[str, Any], *, may_continue: bool) -> bool:
        """Make the folder ready for a run and return whether there is a checkpoint to go on from.

        Args:
            config: what the run is started with, of plain JSON types.
            may_continue: whether a run with the same config that is already there may be gone on with.

        Raises:
            RunFolderError: if the folder holds another run, or cannot be written to; nothing in it is changed.
        """
        self.check(config, may_continue=may_continue)
        if self._present():
            return bool(self.checkpoints.to_go_on_from)
        notes = {"notes": self._notes} if self._notes else {}
        text = json.dumps({**config, **notes, "versions": _versions()}, indent=2) + "\n"
        write_atomically(self.config, lambda file: file.write(text.encode()))
        return False

    @contextmanager
    def opened(self, config: Mapping[str, Any], *, may_continue: bool) -> Iterator[bool]:
        """Hold the folder while this process trains in it, and yield what :meth:`open` returns.

        What a killed process left half written is removed. Where a file system knows no locks, nothing is held.

        Raises:
            RunFolderError: as :meth:`open`, or if another process trains in it; nothing in it is changed.
        """
        self.check(config, may_continue=may_continue)
        # Held before anything is written: another run that has just begun has only its config there.
        with self._claimed():
            yield self.open(config, may_continue=may_continue)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                mine = stack.enter_context(claim(self.path / "run", wait=False))
            except (ImportError, OSError):
                mine = True
            if not mine:
                raise RunFolderError(
                    f"another process trains in '{self.path}' just now: wait for it, or give another folder"
                )
            checkpoints = self.checkpoints
            for path in (self.config, self.metrics, self.student, checkpoints.last, checkpoints.best):
                remove_leftovers(path)
            yield

    def _present(self) -> list[str]:
        """The names of what a run left here."""
        present = [name for name in _OURS if (self.path / name).exists()]
        # A run that failed before its first checkpoint left its config alone: there is nothing to lose in it.
        return [] if present == [self.config.name] and self._reads_config() else present

    def _require_place(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"the output folder '{self.path}' is a file: give another one")
        there = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        if not there.is_dir():
            raise RunFolderError(f"the output folder '{self.path}' cannot be made: '{there}' is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise RunFolderError(
                f"the output folder '{self.path}' cannot be written to: '{there}' allows it not; give another one"
            )

    def _require_same(self, config: Mapping[str, Any], partial: bool) -> None:
        try:
            found = read_json(self.config)
            if not isinstance(found, dict):
                raise ValueError(f"it holds a {type(found).__name__}")
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"the output folder '{self.path}' holds files of a run but no readable config.json ({error}): "
                f"give another folder"
            ) from error
        there, now = _flatten(found), _flatten(config)
        compared = now.keys() if partial else there.keys() | now.keys()
        differing = {
            key: _apart(there.get(key), now.get(key)) for key in sorted(compared) if there.get(key) != now.get(key)
        }
        if differing:
            key, (first, second) = next(iter(differing.items()))
            raise RunFolderError(
                f"the output folder '{self.path}' holds another run, which differs in {', '.join(differing)} "
                f"({key}: there {first}, now {second}): give another folder, "
                f"or start with that run's settings to go on with it",
                differing,
            )

    def _reads_config(self) -> bool:
        try:
            return "versions" in read_json(self.config)
        except (OSError, ValueError, TypeError):
            return False

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``; a value that is not finite is written as null.

        Raises:
            RunFolderError: if it cannot be written; a part of it does no harm.
        """
        clean = {key: None if _is_nan(value) else value for key, value in line.items()}
        try:
            with self.metrics.open("a") as file:
                file.write(json.dumps(clean) + "\n")
        except OSError as error:
            raise RunFolderError(
                f"'{self.metrics}' cannot be written ({error.strerror}): the checkpoints are intact; make room, "
                f"or let it be written there, and start the same again"
            ) from error

    def keep_metrics_until(self, step: int) -> None:
        """Drop the lines of later steps, which a resumed run writes again, and a torn last line."""
        if not self.metrics.exists():
            return
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(self.metrics, lambda file: file.write(text.encode()))

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl`` up to the first that is torn, or none of a run's.

        Raises:
            RunFolderError: if the file is beyond the `kdkit.Limits`.
        """
        lines: list[dict[str, Any]] = []
        try:
            content = read_bytes(self.metrics)
        except ValueError as error:
            raise RunFolderError(f"'{self.metrics}' cannot be read: {error}") from error
        # A torn line may end within a character.
        for text in content.decode(errors="replace").splitlines():
            try:
                line = parse_json(text)
            except ValueError:
                break
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                break
            lines.append(line)
        return lines


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return every value under its dotted name, to name a difference; versions and notes may differ."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                flat |= _flatten({f"{key}[{index}]": item}, prefix)
        else:
            flat[prefix + key] = value
    return {key: value for key, value in flat.items() if not key.startswith(("versions.", "notes."))}


def _versions() -> dict[str, str]:
    """Return what a run may be repeated with; a newer release may go on with an older one's run."""
    packages = {name: version(name) for name in ("kdkit", "torch", "torchvision", "timm", "numpy")}
    return {"python": platform.python_version(), **packages}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _apart(there: object, now: object) -> tuple[str, str]:
    """Return two values as text, both shortened around the place where they begin to differ."""
    texts = json.dumps(there), json.dumps(now)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    start = max(0, sum(1 for _ in same) - 40)
    return _part(texts[0], start), _part(texts[1], start)


def _part(text: str, start: int) -> str:
    end = start + 120
    return f"{'...' if start else ''}{text[start:end]}{'...' if len(text) > end else ''}"


def may_continue(resume: str) -> bool:
    """Return whether a run that is there may be gone on with.

    Raises:
        ConfigurationError: if ``resume`` is neither ``auto`` nor ``never``.
    """
    if resume not in ("auto", "never"):
        raise ConfigurationError(f"resume is '{resume}', it must be 'auto' or 'never'")
    return resume == "auto"
