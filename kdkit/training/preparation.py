"""What is done to a batch between the loader and the distiller."""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from kdkit.batch import Batch, to_device
from kdkit.errors import BatchError, ConfigurationError
from kdkit.naming import callable_name

Prepare = Callable[[dict[str, Tensor]], Batch]
"""A function of a batch on the training's device, which gives the batch to learn from."""


class Preparation:
    """Moves batches to the device, and there lets a function of the user's make of them what is learned from.

    Args:
        prepare: for example renders heatmaps and normalizes pictures, for the whole batch and without gradient;
            None leaves batches as they are.
        device: where to.
        channels_last: the fields whose pictures and maps [B, C, H, W] are laid out with the channels innermost.

    Raises:
        ConfigurationError: if ``prepare`` is no function.
    """

    def __init__(self, prepare: Prepare | None, device: torch.device, channels_last: Collection[str] = ()) -> None:
        if prepare is not None and not callable(prepare):
            raise ConfigurationError(f"Trainer: prepare={prepare!r} is not a function of a batch")
        self._prepare, self._device, self._channels_last = prepare, device, frozenset(channels_last)

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch to learn from, on the device.

        Raises:
            BatchError: if ``prepare`` failed or gave no batch; a failure of its own is this error's cause.
        """
        moved = to_device(batch, self._device)
        prepared = moved if self._prepare is None else self._apply(self._prepare, moved)
        return self._laid_out(prepared) if self._channels_last else prepared

    def place(self, batch: Batch) -> Batch:
        """Return a batch that was prepared before, on the device and laid out as it was."""
        moved = to_device(batch, self._device)
        return self._laid_out(moved) if self._channels_last else moved

    def _laid_out(self, batch: Batch) -> Batch:
        maps = (
            name for name in self._channels_last if isinstance(batch.get(name), Tensor) and batch[name].ndim == 4
        )
        return {**batch, **{name: batch[name].contiguous(memory_format=torch.channels_last) for name in maps}}

    @staticmethod
    def _apply(prepare: Prepare, batch: dict[str, Tensor]) -> Batch:
        fields = ", ".join(sorted(batch))
        try:
            with torch.no_grad():
                prepared = prepare(batch)
        except Exception as error:
            raise BatchError(
                f"prepare={callable_name(prepare)} failed with {type(error).__name__}: {error} (the batch held: "
                f"{fields})"
            ) from error
        if not isinstance(prepared, Mapping):
            raise BatchError(
                f"prepare={callable_name(prepare)} returned a {type(prepared).__name__}: it must return a batch, "
                f"fields by name"
            )
        return prepared
