"""Where the records of a batch come from."""

import torch
from torch import Tensor

from kdkit.batch import Batch, read_field, read_fields
from kdkit.cache.target_cache import TargetCache
from kdkit.errors import BatchError, ConfigurationError


class Lookup:
    """Reads the targets of a batch from a cache.

    Args:
        reader: who reads, for errors.
        cache: the cache.
        records: the batch field that holds the records; by default they are read from the cache's files.
        keys: the fields by which they are found there: ``id``, and ``view`` where views differ.

    Raises:
        ConfigurationError: if ``cache`` is no TargetCache.
    """

    def __init__(self, reader: str, cache: TargetCache, records: str | None, keys: tuple[str, ...]) -> None:
        if not isinstance(cache, TargetCache):
            raise ConfigurationError(
                f"{reader}: a {type(cache).__name__} is no TargetCache; open one by TargetCache.open"
            )
        self._reader, self._cache, self._records = reader, cache, records
        self.reads = keys if records is None else (records,)

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the targets by name, on the batch's device.

        Raises:
            BatchError: if the batch lacks a field that is read, or holds records of another size.
            CacheError: if the cache lacks an id or a view.
        """
        if self._records is not None:
            return self._cache.decode(self._given(batch, self._records))
        ids, *views = read_fields(batch, self.reads, self._reader)
        view = views[0] if views else torch.zeros(len(ids), dtype=torch.int64)
        return self._cache.decode(_to(self._cache.read_records(ids, view), ids.device))

    def _given(self, batch: Batch, field: str) -> Tensor:
        records, size = read_field(batch, field, self._reader), self._cache.header.record_bytes
        if records.dtype != torch.uint8 or records.ndim != 2 or records.shape[1] != size:
            raise BatchError(
                f"{self._reader} reads records uint8 [B, {size}] in the field '{field}', found "
                f"{records.dtype} {list(records.shape)}: wrap the data set as CachedDataset(dataset, cache)"
            )
        return records


def _to(records: Tensor, device: torch.device) -> Tensor:
    """Copy records to a device; from pinned memory, so that the host need not wait for the copy."""
    if device.type == "cpu":
        return records
    return (records.pin_memory() if device.type == "cuda" else records).to(device, non_blocking=True)
