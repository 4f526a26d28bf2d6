"""A trainer that measures what it does, and the loader of a run's first step."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from kdkit.batch import Batch
from kdkit.errors import CheckpointError
from kdkit.stage import Stage
from kdkit.training.checkpoint import load_checkpoint
from kdkit.training.trainer import Trainer


class MeasuredTrainer(Trainer):
    """A trainer that measures its steps and its evaluation."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.seconds: dict[str, list[float]] = {}
        self.evaluation_seconds = 0.0

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._engine.device

    def step(self, *batches: Batch) -> Stage | None:
        """Take a step, and wait for it."""
        stage, started = self.distiller.stage.name, time.perf_counter()
        entered = super().step(*batches)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds.setdefault(stage, []).append(time.perf_counter() - started)
        return entered

    def compare_checkpoint(self) -> int:
        """Read the last checkpoint, compare it, go to where it was taken, compare again; return its bytes.

        Raises:
            CheckpointError: if something is not the same, to the bit.
        """
        path = self.folder.checkpoints.last
        saved, now = load_checkpoint(path), self._state.capture(0, 0.0)
        with torch.no_grad():
            for value in self.distiller.student.parameters():
                value.zero_()  # so that it is the file's weights that come back
        self._state.restore(saved)
        again = self._state.capture(0, 0.0)
        differing = [
            name
            for name in now.keys() - {"seconds", "random"}
            if not (_same(now[name], saved[name]) and _same(now[name], again[name]))
        ]
        if differing:
            raise CheckpointError(f"a checkpoint does not come back as it was: {', '.join(sorted(differing))}")
        return path.stat().st_size

    def _evaluate(self) -> dict[str, float]:
        started = time.perf_counter()
        metrics = super()._evaluate()
        self.evaluation_seconds = time.perf_counter() - started
        return metrics


class OneStep:
    """A loader whose epochs are one optimizer step, or several of the same."""

    def __init__(self, loader: Iterable[Batch], group: list[Batch]) -> None:
        self.dataset = getattr(loader, "dataset", None)
        self.steps, self._group = 1, group

    def __len__(self) -> int:
        return self.steps * len(self._group)

    def __iter__(self) -> Iterator[Batch]:
        return map(copied, self._group * self.steps)


def copied(batch: Batch) -> dict[str, Tensor]:
    """Return a batch of copies: what prepares it may change it in place."""
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in batch.items()}


def _same(one: object, other: object) -> bool:
    """Return whether two states are the same to the bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        bits = (value.detach().cpu().contiguous().flatten().view(torch.uint8) for value in (one, other))
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return one == other or (one != one and other != other)
