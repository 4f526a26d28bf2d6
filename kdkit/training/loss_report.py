"""A step's losses in one tensor, to be read after each replay of the step."""

import torch
from torch import Tensor

from kdkit.step_losses import StepLosses


class LossReport:
    """Lays a step's losses into one tensor, so that one copy keeps them from being overwritten by the next replay.

    Args:
        losses: of the step that is recorded.
    """

    def __init__(self, losses: StepLosses) -> None:
        self._names = tuple(losses.parts)
        self._sizes = [len(losses.samples[name]) for name in self._names]
        pieces = [losses.total.detach(), *losses.parts.values()]
        pieces += [losses.samples[name] for name in self._names]
        self._values: Tensor = torch.cat([piece.reshape(-1) for piece in pieces])

    def read(self, weights: dict[str, float]) -> StepLosses:
        """Return the losses that the tensor now holds, as copies.

        Args:
            weights: the step's.
        """
        values, count = self._values.clone(), 1 + len(self._names)
        total, *parts = values[:count].unbind()
        samples = torch.split(values[count:], self._sizes)
        return StepLosses(
            total,
            dict(zip(self._names, parts, strict=True)),
            dict(zip(self._names, samples, strict=True)),
            weights,
        )
