"""Room for samples that are read as one batch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from kdkit.sample_batch import SampleBatch, collate

__all__ = ["SampleBatch", "collate", "empty_batch"]


def empty_batch(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor to fill; in a loader's worker it lies in shared memory, and is not copied to be handed over."""
    if get_worker_info() is None:
        return torch.empty(tuple(shape), dtype=dtype)
    # What torch's own collating does there.
    size = math.prod(shape) * dtype.itemsize
    storage: torch.UntypedStorage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]
    return torch.empty(0, dtype=dtype).set_(storage).view(tuple(shape))
