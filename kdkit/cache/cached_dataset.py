"""Samples that carry their records."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdkit.cache.target_cache import TargetCache
from kdkit.errors import ConfigurationError
from kdkit.sample_batch import SampleBatch


class CachedDataset(Dataset[dict[str, Tensor]]):
    """Another data set's samples, each with its record of a cache: the records are read by the loader's workers.

    With ``CachedTeacher(name, cache, records=field)`` a training step on an accelerator then waits for nothing:
    the records are moved there with the batch and decoded there. A loader reads whole batches, of the records too.
    Of several caches wrap it several times, each with its field.

    What else the data set is, its ``prepare`` or ``convention`` say, is asked of the attribute ``dataset``.

    Args:
        dataset: gives samples with ``id`` and ``view``, by index or by (index, view); where it has
            ``__getitems__``, whole batches.
        cache: the cache.
        field: the field in which the record is put, uint8 [bytes].
    """

    def __init__(self, dataset: Any, cache: TargetCache, field: str = "records") -> None:
        self.dataset, self.cache, self.field = dataset, cache, field

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> dict[str, Tensor]:
        """Return a sample with its record.

        Raises:
            ConfigurationError: if the sample has no ``id`` or ``view``, or has the field already.
            CacheError: if the cache lacks its id or view.
        """
        return self._with_records([self.dataset[index]])[0]

    def __getitems__(self, indices: Sequence[Any]) -> Sequence[dict[str, Tensor]]:
        """Return the samples of a batch, as the data set does, with their records; raises as for one."""
        read = getattr(self.dataset, "__getitems__", None)
        samples = [self.dataset[index] for index in indices] if read is None else read(indices)
        if not isinstance(samples, SampleBatch):
            return self._with_records(samples)
        fields = samples.fields
        self._check(fields)
        return SampleBatch({**fields, self.field: self.cache.read_records(fields["id"], fields["view"])})

    def _with_records(self, samples: Sequence[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        for sample in samples:
            self._check(sample)
        ids, views = (torch.stack([torch.as_tensor(one[key]).view(()) for one in samples]) for key in _KEYS)
        records = self.cache.read_records(ids, views)
        return [{**sample, self.field: record} for sample, record in zip(samples, records, strict=True)]

    def _check(self, fields: Mapping[str, Tensor]) -> None:
        if any(key not in fields for key in _KEYS) or self.field in fields:
            raise ConfigurationError(
                f"CachedDataset needs samples with 'id' and 'view' and without '{self.field}', found "
                f"{sorted(fields)}"
            )

    def __repr__(self) -> str:
        return f"CachedDataset({self.dataset!r}, {self.cache!r}, {self.field!r})"


_KEYS = ("id", "view")
