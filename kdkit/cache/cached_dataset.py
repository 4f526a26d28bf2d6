"""Samples that carry their records."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdkit.cache.target_cache import TargetCache
from kdkit.errors import ConfigurationError


class CachedDataset(Dataset[dict[str, Tensor]]):
    """Another data set's samples, each with its record of a cache: the records are read by the loader's workers.

    With ``CachedTeacher(name, cache, records=field)`` a training step on an accelerator then waits for nothing:
    the records are moved there with the batch and decoded there.

    Args:
        dataset: gives samples with ``id`` and ``view``, by index or by (index, view).
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
        sample = self.dataset[index]
        if "id" not in sample or "view" not in sample or self.field in sample:
            raise ConfigurationError(
                f"CachedDataset needs samples with 'id' and 'view' and without '{self.field}', found "
                f"{sorted(sample)}"
            )
        ids, views = torch.as_tensor(sample["id"]).view(1), torch.as_tensor(sample["view"]).view(1)
        return {**sample, self.field: self.cache.read_records(ids, views)[0]}

    def __repr__(self) -> str:
        return f"CachedDataset({self.dataset!r}, {self.cache!r}, {self.field!r})"
