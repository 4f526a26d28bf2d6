"""Targets on disk, read by id and view."""

import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

import numpy as np
import torch
from torch import Tensor

from kdkit.cache.canonical import is_canonical
from kdkit.cache.codec import RecordCodec, Shape
from kdkit.cache.fingerprint import require_same
from kdkit.cache.header import Header, ids_path, read_header, shard_path
from kdkit.cache.records import Bytes, Counts, Integers, add_counts, are_whole, no_counts, unpack_counts
from kdkit.errors import CacheError, ConfigurationError

Verify = Literal["sample", "all", "none"]
Progress = Callable[[int, int], object]

_SAMPLE = 64  # records looked at when a cache is opened
_CHUNK = 4096  # records looked at together
_REMEDY = "delete the file and run the build again, which makes only what is missing"


class TargetCache:
    """A teacher's targets on disk, for every view of every sample; made by :func:`kdkit.build_cache`.

    A target is found in constant time and read through memory-mapped files, which processes share. A cache is
    small to pickle: the files are mapped in each process when it first reads. Nothing in them is executed.

    Open one with :meth:`open`.

    Attributes:
        path: its folder.
        header: all that it says of itself.
        ids: the samples' ids, sorted.
        inexact: for each output, how many of its maps (a channel of a sample's view; for ``TopK``, a sample's
            view) lost more than rounding, and how many there are.
    """

    def __init__(self, path: Path, header: Header, ids: Tensor, inexact: Counts, check: bool = False) -> None:
        self.path, self.header, self.ids, self.inexact = path, header, ids, inexact
        self._check = check
        self._ids: Integers = ids.numpy()
        self._shards: dict[int, Bytes] = {}

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        expect: Mapping[str, str] | None = None,
        verify: Verify = "sample",
        check: bool = False,
    ) -> Self:
        """Open the cache in a folder.

        Args:
            path: the folder.
            expect: what the targets must have been made of, item by item (:func:`kdkit.cache.cache_fingerprint`);
                items that are not named may be anything.
            verify: whether to look at the checksums of 64 records, of ``all``, or of none.
            check: whether to look at a record's checksum whenever it is read.

        Raises:
            CacheError: if there is no cache, it is not finished, it is damaged, or it was made of something else.
        """
        if verify not in ("sample", "all", "none"):
            raise ConfigurationError(f"verify is {verify!r}, it must be 'sample', 'all' or 'none'")
        path = Path(path)
        header = read_header(path)
        if expect is not None:
            items = {**header.fingerprint, "views": str(header.views)}
            require_same({key: value for key, value in items.items() if key in expect}, expect, path)
        _require_shards(path, header)
        cache = cls(path, header, torch.from_numpy(read_ids(path, header)), _read_counts(path, header), check)
        if verify != "none":
            cache.verify(verify)
        return cache

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the targets."""
        return tuple(self.header.outputs)

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each target of a sample, by output."""
        return {name: output.shape for name, output in self.header.outputs.items()}

    @property
    def codecs(self) -> dict[str, RecordCodec]:
        """How each target is stored, by output."""
        return {name: output.codec for name, output in self.header.outputs.items()}

    @property
    def views(self) -> int:
        """The number of views of each sample."""
        return self.header.views

    @property
    def canonical(self) -> bool:
        """Whether there is one target a sample, of it without augmentation, that serves all its views:
        :class:`kdkit.cache.CanonicalTeacher` warps it to each."""
        return is_canonical(self.header)

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the targets were made of; see :func:`kdkit.cache.cache_fingerprint`."""
        return dict(self.header.fingerprint)

    def read(self, ids: Tensor, views: Tensor, *, check: bool | None = None) -> dict[str, Tensor]:
        """Return the targets of a batch by output, float32, on the CPU.

        Args:
            ids: the samples' ids, integers [B].
            views: of each the view, integers [B]; of no effect in a canonical cache.
            check: whether to look at the checksums; by default as when the cache was opened.

        Raises:
            CacheError: if the cache lacks an id or a view, or a record that is checked is damaged.
        """
        return self.decode(self.read_records(ids, views, check=check))

    def read_records(self, ids: Tensor, views: Tensor, *, check: bool | None = None) -> Tensor:
        """Return a batch's records as they are stored, uint8 [B, bytes], on the CPU; see :meth:`read`."""
        numbers, of_view = _integers(ids, "ids"), _integers(views, "views")
        if numbers.shape != of_view.shape:
            raise CacheError(f"a cache is read by as many ids as views, found {len(numbers)} and {len(of_view)}")
        if self.canonical:
            of_view = np.zeros_like(of_view)
        rows = self._positions(numbers, of_view) * self.header.views + of_view
        records = self._gather(rows)
        if self._check if check is None else check:
            whole = are_whole(self.header, records, numbers, of_view)
            if not whole.all():
                self._refuse(int(rows[~whole][0]), int((~whole).sum()), len(rows))
        return torch.from_numpy(records)

    def decode(self, records: Tensor) -> dict[str, Tensor]:
        """Return the targets of records by output, float32, on the device that the records are on."""
        targets, start = {}, 0
        for name, output in self.header.outputs.items():
            end = start + output.record_bytes
            targets[name] = output.codec.decode(records[:, start:end], output.shape)
            start = end
        return targets

    def verify(self, which: Verify = "all", *, progress: Progress | None = None) -> None:
        """Look at the checksums of records: of ``all``, or of a ``sample`` of 64, others each time.

        Args:
            which: of which.
            progress: called with the records done and all that are looked at.

        Raises:
            CacheError: naming shard, id and view of the first record that is damaged.
        """
        records = self.header.records
        rows: Sequence[int] = range(records)
        if which == "sample" and records > _SAMPLE:
            # Others each time, so that what is damaged is found some day; the global generator stays as it is.
            rows = sorted(random.Random().sample(rows, _SAMPLE))
        damaged: list[int] = []
        done = 0
        for part in _chunks(rows):
            damaged += self._damaged(np.array(part))
            done += len(part)
            if progress is not None:
                progress(done, len(rows))
        if damaged:
            self._refuse(damaged[0], len(damaged), len(rows))

    def info(self) -> str:
        """Return lines of text on what the cache holds and what it was made of."""
        return "\n".join(describe_cache(self.header, self.inexact))

    def _positions(self, ids: Integers, views: Integers) -> Integers:
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        known = self._ids[places] == ids
        if not known.all():
            raise CacheError(
                f"the cache '{self.path}' has no target for the id {ids[~known][0]}, view {views[~known][0]} "
                f"({(~known).sum()} of {len(ids)} ids are not in it): build it for this data set"
            )
        there = (views >= 0) & (views < self.header.views)
        if not there.all():
            raise CacheError(
                f"the cache '{self.path}' has no target for the id {ids[~there][0]}, view {views[~there][0]}: it "
                f"has the views 0 to {self.header.views - 1}; build one of more views, or let the loader repeat "
                f"those there are (views={self.header.views})"
            )
        return places

    def _gather(self, rows: Integers) -> Bytes:
        shards, places = np.divmod(rows, self.header.shard_records)
        if len(rows) and (shards == shards[0]).all():
            return self._shard(int(shards[0]))[places]
        records = np.empty((len(rows), self.header.record_bytes), dtype=np.uint8)
        for shard in np.unique(shards).tolist():
            mine = shards == shard
            records[mine] = self._shard(shard)[places[mine]]
        return records

    def _shard(self, shard: int) -> Bytes:
        if shard not in self._shards:
            _require_size(self.path, self.header, shard)
            shape = (len(self.header.records_of(shard)), self.header.record_bytes)
            mapped = np.memmap(shard_path(self.path, shard), dtype=np.uint8, mode="r", shape=shape)
            # The plain array keeps the map, and is indexed faster.
            self._shards[shard] = mapped.view(np.ndarray)
        return self._shards[shard]

    def _damaged(self, rows: Integers) -> list[int]:
        places, views = np.divmod(rows, self.header.views)
        whole = are_whole(self.header, self._gather(rows), self._ids[places], views)
        return [int(row) for row in rows[~whole]]

    def _refuse(self, row: int, count: int, looked_at: int) -> NoReturn:
        place, view = divmod(row, self.header.views)
        shard, record = divmod(row, self.header.shard_records)
        raise CacheError(
            f"the cache is damaged: '{shard_path(self.path, shard)}', record {record} (id {self._ids[place]}, "
            f"view {view}) has not its checksum; {count} of {looked_at} records looked at have not; {_REMEDY}"
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_shards": {}}

    def __repr__(self) -> str:
        outputs = ", ".join(
            f"{name} {list(output.shape)} as {output.codec!r} ({_inexactness(self.inexact[name])})"
            for name, output in self.header.outputs.items()
        )
        return f"TargetCache({self.header.samples} samples x {self.header.views} views, {outputs})"


def describe_cache(header: Header, inexact: Counts) -> list[str]:
    """Return lines on what a cache holds and what it was made of.

    Args:
        header: the cache's.
        inexact: of each output the maps not stored exactly, and all; nothing where that is not known yet.
    """
    size = sum(header.shard_bytes(shard) for shard in range(header.shards))
    lines = [
        f"{header.samples:,} samples x {header.views} views = {header.records:,} records of "
        f"{header.record_bytes} bytes in {header.shards} shards, {size / 1e6:,.1f} MB"
    ]
    for name, output in header.outputs.items():
        counted = f", {_inexactness(inexact[name])}" if name in inexact else ""
        lines.append(f"{name}: {list(output.shape)} as {output.codec!r}{counted}")
    return [*lines, *(f"{key}: {value}" for key, value in {**header.fingerprint, **header.recorded}.items())]


def _inexactness(counts: tuple[int, int]) -> str:
    return "maps not stored exactly: {} of {}".format(*counts)


def read_ids(folder: Path, header: Header) -> Integers:
    """Return a cache's ids.

    Raises:
        CacheError: if the file is damaged.
    """
    path = ids_path(folder)
    try:
        # Mapped first: whatever the file says of its size, nothing is allocated before it is known to be so.
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
        if ids.shape != (header.samples,) or ids.dtype != np.int64:
            raise ValueError(f"it holds {ids.dtype} {list(ids.shape)}, not int64 [{header.samples}]")
        ids = np.array(ids)
        if zlib.crc32(ids.tobytes()) != header.ids_checksum:
            raise ValueError("it is not the one that the header was written with")
    except Exception as error:  # of a damaged header numpy may raise anything
        raise CacheError(
            f"the cache's ids '{path}' cannot be used: {error}; restore the file, or build the cache again in "
            f"another folder"
        ) from error
    return ids


def _read_counts(folder: Path, header: Header) -> Counts:
    sums = no_counts(header)
    for shard in range(header.shards):
        path = shard_path(folder, shard)
        with path.open("rb") as file:
            file.seek(-header.counts_bytes, 2)
            counts = unpack_counts(header, file.read())
        if counts is None:
            raise CacheError(
                f"the cache is damaged: the counts at the end of '{path}' have not their checksum; {_REMEDY}"
            )
        sums = add_counts(sums, counts)
    return sums


def _require_shards(folder: Path, header: Header) -> None:
    # Counted by what is there: a header may claim more shards than could ever be looked for.
    there = {path.name for path in folder.iterdir()}
    first = next((n for n in range(header.shards) if shard_path(folder, n).name not in there), None)
    if first is not None:
        known = (_shard_number(name) for name in there)
        missing = header.shards - sum(1 for number in known if number is not None and number < header.shards)
        raise CacheError(
            f"the cache '{folder}' is not finished: {missing} of {header.shards} shards are missing, the first is "
            f"{shard_path(folder, first).name}; run the build again, which makes what is missing"
        )
    for shard in range(header.shards):
        _require_size(folder, header, shard)


def _shard_number(name: str) -> int | None:
    found = re.fullmatch(r"shard-(\d+)\.bin", name)
    return int(found[1]) if found else None


def _require_size(folder: Path, header: Header, shard: int) -> None:
    path, expected = shard_path(folder, shard), header.shard_bytes(shard)
    try:
        found = path.stat().st_size
    except OSError as error:
        raise CacheError(f"the cache's shard '{path}' cannot be read: {error}") from error
    if found != expected:
        raise CacheError(f"the cache is damaged: '{path}' has {found} bytes and not {expected}; {_REMEDY}")


def _chunks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def _integers(values: Tensor, name: str) -> Integers:
    if values.ndim != 1 or values.is_floating_point() or values.dtype == torch.bool:
        raise CacheError(f"a cache's {name} are integers [B], found {values.dtype} {list(values.shape)}")
    return values.detach().cpu().numpy().astype(np.int64, copy=False)
