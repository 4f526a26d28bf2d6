"""Notices a loss that is NaN or infinite, and whose it is."""

import torch
from torch import Tensor

from kdkit.batch import Batch
from kdkit.errors import NonFiniteLossError
from kdkit.step_losses import StepLosses


class FiniteGuard:
    """Keeps, on the device, whether each sample's losses were finite, and asks for the answer only now and then.

    Watching costs no host sync; :meth:`check` does one, for all the batches since the last.
    """

    def __init__(self) -> None:
        self._watched: list[tuple[int, list[str], Tensor, Tensor | None]] = []

    def watch(self, step: int, losses: StepLosses, batch: Batch) -> None:
        """Note a batch's losses.

        Args:
            step: the optimizer step, from 1, that the batch belongs to.
            losses: what the distiller gave.
            batch: the batch; its field ``id`` names the samples.
        """
        if not losses.samples:
            return
        finite = torch.stack([value.isfinite() for value in losses.samples.values()])
        self._watched.append((step, list(losses.samples), finite, batch.get("id")))

    def check(self) -> None:
        """Raise if any loss since the last check was not finite.

        Raises:
            NonFiniteLossError: naming the step, the term and the samples.
        """
        watched, self._watched = self._watched, []
        if not watched or bool(torch.stack([finite.all() for _, _, finite, _ in watched]).all()):
            return
        step, names, finite, ids = next(entry for entry in watched if not bool(entry[2].all()))
        terms = [name for name, fine in zip(names, finite.all(1).tolist(), strict=True) if not fine]
        positions = (~finite.all(0)).nonzero().flatten().tolist()
        if ids is None:
            samples = f"batch positions {positions} (a field 'id' in the batch would name the samples)"
        else:
            samples = f"sample ids {[int(ids[position]) for position in positions]}"
        raise NonFiniteLossError(
            f"the loss became NaN or infinite at step {step} in {', '.join(terms)}, {samples}: look at these "
            f"samples and at the learning rate; the last checkpoint is from before this step"
        )
