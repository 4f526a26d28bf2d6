"""A teacher whose targets were computed before."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from kdkit.batch import Batch, read_fields
from kdkit.cache.target_cache import TargetCache
from kdkit.errors import BatchError, ConfigurationError
from kdkit.teacher import Teacher


class CachedTeacher(Teacher):
    """A teacher that reads its targets from a :class:`kdkit.TargetCache` and has no network.

    It gives what the live teacher gave for the same sample and view, within its codec's precision, on the
    device of the batch. Records are copied to an accelerator as they are stored and decoded there.

    Args:
        name: the teacher's name, unique within a run.
        cache: the cache.
        records: the batch field that holds the records, as :class:`kdkit.cache.CachedDataset` puts them there.
            By default the teacher looks them up by the fields ``id`` and ``view``; where these are on an
            accelerator, the host waits for them at every step.

    Raises:
        ConfigurationError: if ``cache`` is no TargetCache.
    """

    def __init__(self, name: str, cache: TargetCache, *, records: str | None = None) -> None:
        if not isinstance(cache, TargetCache):
            raise ConfigurationError(
                f"teacher '{name}': a {type(cache).__name__} is no TargetCache; open one by TargetCache.open"
            )
        self.name, self.cache = name, cache
        self.reads = ("id", "view") if records is None else (records,)
        self.outputs = cache.outputs

    @property
    def convention(self) -> Mapping[str, str]:
        """The convention of the teacher that the cache was made with."""
        return self.cache.header.convention

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cached targets for a batch, by name.

        Raises:
            BatchError: if the batch lacks a field that the teacher reads, or holds records of another size.
            CacheError: if the cache lacks an id or a view.
        """
        fields = read_fields(batch, self.reads, f"teacher '{self.name}'")
        with torch.no_grad():
            if len(fields) == 2:
                return self.cache.decode(_to(self.cache.read_records(*fields), fields[0].device))
            self._check(fields[0])
            return self.cache.decode(fields[0])

    def fingerprint(self) -> str:
        """Return a hash of what the cache was made of and how it is stored."""
        return hashlib.sha256(repr(sorted(self.cache.header.items().items())).encode()).hexdigest()

    def _check(self, records: Tensor) -> None:
        size = self.cache.header.record_bytes
        if records.dtype != torch.uint8 or records.ndim != 2 or records.shape[1] != size:
            raise BatchError(
                f"teacher '{self.name}' reads records uint8 [B, {size}] in the field '{self.reads[0]}', found "
                f"{records.dtype} {list(records.shape)}: wrap the data set as CachedDataset(dataset, cache)"
            )

    def __repr__(self) -> str:
        return f"CachedTeacher({self.name!r}, {self.cache!r})"


def _to(records: Tensor, device: torch.device) -> Tensor:
    """Copy records to a device; from pinned memory, so that the host need not wait for the copy."""
    if device.type == "cpu":
        return records
    return (records.pin_memory() if device.type == "cuda" else records).to(device, non_blocking=True)
