"""Shards, made one after the other."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from kdkit.cache.header import Header, shard_path
from kdkit.cache.publish import claim, publish
from kdkit.cache.records import Counts, Integers, add_counts, checksums, no_counts, pack_counts
from kdkit.cache.target_source import TargetSource, check_keys, check_target
from kdkit.files import remove_leftovers
from kdkit.sample_batch import collate

Progress = Callable[[int, int], object]
Observe = Callable[[Mapping[str, Tensor]], object]


class ShardBuilder:
    """Makes a cache's shards, each from its first record to its last.

    Args:
        folder: the cache's.
        header: the cache's.
        source: where targets come from.
        order: the ids by index.
        batch_size: samples read at once.
        workers: processes that read them.
        progress: called with the records done and all of them.
        observe: called with each batch's targets as they are stored, by output.

    Attributes:
        built: the records it made.
        inexact: for each output the maps it made that were not stored exactly, and all it made.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        source: TargetSource,
        order: Integers,
        *,
        batch_size: int,
        workers: int,
        progress: Progress | None,
        observe: Observe | None = None,
    ) -> None:
        self.folder, self.header, self.source = folder, header, source
        self._indices, self._ids = np.argsort(order), np.sort(order)
        self._batch_size, self._pairs, self._progress = batch_size, _Pairs(), progress
        self._observe = observe
        self._loader = DataLoader(
            source.dataset,
            batch_size=batch_size,
            sampler=self._pairs,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            pin_memory=source.device is not None and source.device.type == "cuda",
            # Without one of its own, a loader draws from the global generator.
            generator=torch.Generator().manual_seed(0),
        )
        self._done = self._total = self.built = 0
        self.inexact = no_counts(header)

    def run(self, shards: range) -> None:
        """Make those of the shards that are missing; last of all those that others are at."""
        self._total = sum(len(self.header.records_of(shard)) for shard in shards)
        taken = [shard for shard in shards if not self._make(shard, wait=False)]
        for shard in taken:
            self._make(shard, wait=True)

    def _make(self, shard: int, *, wait: bool) -> bool:
        """Make a shard, if it is missing or torn; return whether it is there now."""
        path = shard_path(self.folder, shard)
        with claim(path, wait=wait) as claimed:
            if claimed:
                remove_leftovers(path)
                if path.exists() and path.stat().st_size == self.header.shard_bytes(shard):
                    self._advance(len(self.header.records_of(shard)))
                else:
                    publish(path, lambda file: self._write(file, shard))
            return claimed

    def _write(self, file: BinaryIO, shard: int) -> None:
        records, counts = self.header.records_of(shard), no_counts(self.header)
        places, views = np.divmod(np.arange(records.start, records.stop), self.header.views)
        self._pairs.pairs = list(zip(self._indices[places].tolist(), views.tolist(), strict=True))
        starts = range(0, len(places), self._batch_size)
        for start, batch in zip(starts, self._loader, strict=True):
            now = slice(start, start + self._batch_size)
            ids, of_view = self._ids[places[now]], views[now]
            check_keys(batch, ids, of_view)
            targets = self.source.targets(batch)
            file.write(self._encode(targets, ids, of_view).tobytes())
            counts = add_counts(counts, self._count(targets))
            if self._observe is not None:
                self._observe(targets)
            self._advance(len(ids))
        file.write(pack_counts(self.header, counts))
        self.inexact = add_counts(self.inexact, counts)
        self.built += len(records)

    def _encode(self, targets: Mapping[str, Tensor], ids: Integers, views: Integers) -> np.ndarray[Any, Any]:
        parts = []
        for name, output in self.header.outputs.items():
            check_target(name, targets[name], output, ids, views)
            parts.append(output.codec.encode(targets[name]).cpu())
        payloads = torch.cat(parts, dim=1).numpy()
        return np.concatenate([payloads, checksums(self.header, payloads, ids, views)], axis=1)

    def _count(self, targets: Mapping[str, Tensor]) -> Counts:
        inexact = {name: one.codec.inexact(targets[name]) for name, one in self.header.outputs.items()}
        return {name: (int(which.sum()), which.numel()) for name, which in inexact.items()}

    def _advance(self, records: int) -> None:
        self._done += records
        if self._progress is not None:
            self._progress(self._done, self._total)


class _Pairs(Sampler[tuple[int, int]]):
    """Yields the (index, view) pairs it was given last; a loader's workers stay from one list to the next."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)
