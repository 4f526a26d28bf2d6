"""The mean of every loss over an epoch."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kdkit.processes import Processes
from kdkit.step_losses import StepLosses


class LossMeans:
    """Keeps losses on the device, and sums them on the host now and then: only that is a host sync.

    The sums are in double precision, so that thousands of batches lose nothing, and in the order of the batches,
    so that they are the same however often they are summed up.

    Args:
        processes: those that train together; each adds its share's means, and all get the batch's.
    """

    def __init__(self, processes: Processes | None = None) -> None:
        self._processes = processes or Processes()
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._names: list[str] = []
        self._kept: list[Tensor] = []

    def add(self, losses: StepLosses, weight: Tensor | None = None) -> None:
        """Add a batch's total and parts.

        Args:
            losses: of the batch, or of this process's share.
            weight: [], how much a share counts beside a mean one; None for 1.
        """
        values = (losses.total.detach(), *losses.parts.values())
        self._names += ("total", *losses.parts)
        self._kept += values if weight is None else (value * weight for value in values)

    def sum_up(self) -> None:
        """Sum what was added since the last time."""
        if not self._kept:
            return
        values = self._processes.mean(torch.stack(self._kept)).tolist()
        for name, value in zip(self._names, values, strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._names, self._kept = [], []

    def means(self) -> dict[str, float]:
        """Return each loss's mean over the batches in which it had a weight, as ``loss/<name>``."""
        self.sum_up()
        return {f"loss/{name}": value / self._counts[name] for name, value in self._sums.items()}

    def state_dict(self) -> dict[str, tuple[float, int]]:
        """Return sums and counts."""
        self.sum_up()
        return {name: (value, self._counts[name]) for name, value in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, tuple[float | Tensor, int]]) -> None:
        """Go on from sums and counts; a sum may be a tensor, as in older checkpoints."""
        self._sums = {name: float(value) for name, (value, _) in state.items()}
        self._counts = {name: count for name, (_, count) in state.items()}
