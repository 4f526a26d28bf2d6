"""Batches: mappings from field name to tensor, batch dimension first."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kdkit.errors import BatchError

Batch = Mapping[str, Tensor]
"""A mapping from field name to tensor: ``image`` [B, 3, H, W], ``mask`` [B, 1, H, W], ``id`` [B] and so on.

A field that only a teacher reads is *privileged*: it is needed in training and never by the student.
"""


def as_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple of names."""
    return (names,) if isinstance(names, str) else tuple(names)


def read_field(batch: Batch, name: str, reader: str) -> Tensor:
    """Return the field ``name`` of a batch.

    Args:
        batch: the batch.
        name: the field's name.
        reader: who reads it, named in the error.

    Raises:
        BatchError: if the batch lacks the field, or the field is not a tensor.
    """
    if name not in batch:
        found = ", ".join(sorted(batch)) or "nothing"
        raise BatchError(
            f"{reader} reads the field '{name}', which the batch lacks (it holds: {found}): "
            f"let the data set return '{name}', or change what {reader} reads"
        )
    value = batch[name]
    if not isinstance(value, Tensor):
        raise BatchError(f"{reader} reads the field '{name}', a {type(value).__name__}: it must be a tensor")
    return value


def read_fields(batch: Batch, names: Sequence[str], reader: str) -> tuple[Tensor, ...]:
    """Return several fields of a batch in order; see :func:`read_field`."""
    return tuple(read_field(batch, name, reader) for name in names)


def batch_size(batch: Batch) -> int:
    """Return how many samples a batch holds.

    Raises:
        BatchError: if it holds no tensor with a batch dimension.
    """
    for value in batch.values():
        if isinstance(value, Tensor) and value.ndim:
            return len(value)
    found = ", ".join(sorted(batch)) or "none"
    raise BatchError(f"the batch holds no tensor with a batch dimension (its fields: {found})")


def to_device(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """Return the batch with every tensor on ``device``; what is no tensor is kept as it is."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }
