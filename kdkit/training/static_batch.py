"""A batch whose tensors stay where they are, and are filled with one batch after the other."""

from torch import Tensor

from kdkit.batch import Batch

Form = tuple[tuple[object, ...], ...]
"""Names, shapes and types of a batch's fields."""


class StaticBatch:
    """Copies of a batch's tensors, which recorded work reads.

    Args:
        batch: of tensors alone; others of its form can be filled in.
    """

    def __init__(self, batch: Batch) -> None:
        self.fields: dict[str, Tensor] = {name: value.clone() for name, value in batch.items()}

    def fill(self, batch: Batch) -> None:
        """Copy another batch's values, without waiting for them."""
        for name, value in self.fields.items():
            value.copy_(batch[name], non_blocking=True)


def form_of(batch: Batch) -> Form:
    """Return the names, shapes and types of a batch's fields, in order."""
    return tuple((name, tuple(value.shape), value.dtype) for name, value in sorted(batch.items()))


def host_fields(batch: Batch) -> list[str]:
    """Return the names of the fields that are no tensors."""
    return [name for name, value in batch.items() if not isinstance(value, Tensor)]
