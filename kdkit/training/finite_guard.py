"""Notices a loss that is NaN or infinite, and whose it is."""

import math

import torch
from torch import Tensor

from kdkit.batch import Batch
from kdkit.errors import NonFiniteLossError
from kdkit.processes import Processes
from kdkit.step_losses import StepLosses
from kdkit.training.spike_guard import SpikeGuard


class FiniteGuard:
    """Keeps each sample's losses on the device, and asks whether they were finite only now and then.

    Watching costs nothing; :meth:`check` is one host sync, for all the batches since the last.

    Args:
        processes: those that train together: all raise where one has such a loss.
        spikes: is shown those batches that were finite.
    """

    def __init__(self, processes: Processes | None = None, spikes: SpikeGuard | None = None) -> None:
        self._processes, self._spikes = processes or Processes(), spikes
        self._watched: list[tuple[int, dict[str, Tensor], Tensor | None]] = []

    def watch(self, step: int, losses: StepLosses, batch: Batch) -> None:
        """Note a batch's losses.

        Args:
            step: the optimizer step, from 1, that the batch belongs to.
            losses: what the distiller gave.
            batch: the batch; its field ``id`` names the samples.
        """
        if losses.samples:
            self._watched.append((step, losses.samples, batch.get("id")))

    def check(self) -> None:
        """Raise if any loss since the last check was not finite.

        Raises:
            NonFiniteLossError: naming the step, the term and the samples.
            LossSpikeError: likewise, where a spike is to stop the run.
        """
        watched, self._watched = self._watched, []
        values = [value for _, samples, _ in watched for value in samples.values()]
        # A sum is finite only if all its terms are; that it is not may also mean that it is too large.
        fine = not values or math.isfinite(torch.cat(values).sum().item())
        if self._processes.largest(int(not fine)):
            for step, samples, ids in watched:
                finite = torch.stack([value.isfinite() for value in samples.values()])
                if not bool(finite.all()):
                    raise _error(step, list(samples), finite, ids)
            if fine:
                raise NonFiniteLossError(
                    "the loss became NaN or infinite in another of the processes, which names the samples"
                )
        if self._spikes is not None:
            self._spikes.see(watched)


def _error(step: int, names: list[str], finite: Tensor, ids: Tensor | None) -> NonFiniteLossError:
    """Return the error for a batch.

    Args:
        step: the optimizer step.
        names: the terms'.
        finite: whether each term of each sample is, [terms, B].
        ids: the samples', or None.
    """
    terms = [name for name, fine in zip(names, finite.all(1).tolist(), strict=True) if not fine]
    positions = (~finite.all(0)).nonzero().flatten().tolist()
    if ids is None:
        samples = f"batch positions {positions} (a field 'id' in the batch would name the samples)"
    else:
        samples = f"sample ids {[int(ids[position]) for position in positions]}"
    return NonFiniteLossError(
        f"the loss became NaN or infinite at step {step} in {', '.join(terms)}, {samples}: look at these "
        f"samples (a region does not hide values that are not finite: fill them where the batch is made) and at "
        f"the learning rate; the last checkpoint is from before this step"
    )
