"""Samples that were read as one batch, and batches of any samples."""

from collections.abc import Sequence
from typing import Any, overload

from torch import Tensor
from torch.utils.data import default_collate


class SampleBatch(Sequence[dict[str, Tensor]]):
    """Samples as views of one batch, so that collating them again costs nothing.

    What a data set's ``__getitems__`` may return, for a loader with ``collate_fn=collate``.

    Args:
        fields: Tensors [B, ...], by name.

    >>> import torch
    >>> samples = SampleBatch({"id": torch.tensor([7, 8])})
    >>> samples[1]
    {'id': tensor(8)}
    >>> collate(samples)
    {'id': tensor([7, 8])}
    """

    def __init__(self, fields: dict[str, Tensor]) -> None:
        self.fields = fields

    @overload
    def __getitem__(self, place: int) -> dict[str, Tensor]: ...
    @overload
    def __getitem__(self, place: slice) -> "SampleBatch": ...
    def __getitem__(self, place: int | slice) -> "dict[str, Tensor] | SampleBatch":
        if isinstance(place, slice):
            return SampleBatch({name: values[place] for name, values in self.fields.items()})
        return {name: values[place] for name, values in self.fields.items()}

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))


def collate(samples: Any) -> Any:
    """A batch of samples: as torch's own, but for those that were read as one."""
    return samples.fields if isinstance(samples, SampleBatch) else default_collate(samples)
