"""A teacher whose targets were computed before."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from kdkit.batch import Batch
from kdkit.cache.lookup import Lookup
from kdkit.cache.target_cache import TargetCache
from kdkit.errors import ConfigurationError
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
        ConfigurationError: if ``cache`` is no TargetCache, or a canonical one, for
            :class:`kdkit.cache.CanonicalTeacher`.
    """

    def __init__(self, name: str, cache: TargetCache, *, records: str | None = None) -> None:
        self._lookup = Lookup(f"teacher '{name}'", cache, records, keys=("id", "view"))
        if cache.canonical:
            raise ConfigurationError(
                f"teacher '{name}': the cache '{cache.path}' is canonical, one map a sample without augmentation: "
                f"use CanonicalTeacher, which warps it to each view"
            )
        self.name, self.cache, self.records = name, cache, records
        self.reads, self.outputs = self._lookup.reads, cache.outputs

    @property
    def convention(self) -> Mapping[str, str]:
        """The convention of the teacher that the cache was made with."""
        return self.cache.header.convention

    @property
    def usage(self) -> Mapping[str, str]:
        """What its header records, of that teacher and of the building."""
        return self.cache.header.recorded

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cached targets for a batch, by name.

        Raises:
            BatchError: if the batch lacks a field that the teacher reads, or holds records of another size.
            CacheError: if the cache lacks an id or a view.
        """
        with torch.no_grad():
            return self._lookup.targets(batch)

    def fingerprint(self) -> str:
        """Return a hash of what the cache was made of and how it is stored."""
        return hashlib.sha256(repr(sorted(self.cache.header.items().items())).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"CachedTeacher({self.name!r}, {self.cache!r})"
