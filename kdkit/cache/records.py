"""Checksums of records, and the counts at a shard's end."""

import zlib
from typing import Any

import numpy as np

from kdkit.cache.header import CHECKSUM_BYTES, Header

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Counts = dict[str, tuple[int, int]]
"""For each output, how many of its maps were not stored exactly, and how many there are."""

Integers = np.ndarray[Any, np.dtype[np.int64]]


def checksums(header: Header, payloads: Bytes, ids: Integers, views: Integers) -> Bytes:
    """Return each record's checksum, of cache, id, view and payload, as uint8 [B, 4].

    A record that was moved within a cache, or into another one, does not have its checksum there.
    """
    start = header.checksum
    keys = np.stack([np.asarray(ids, "<i8"), np.asarray(views, "<i8")], axis=1)
    rows = np.ascontiguousarray(payloads)
    sums = [zlib.crc32(payload, zlib.crc32(key, start)) for key, payload in zip(keys, rows, strict=True)]
    return np.array(sums, dtype="<u4").view(np.uint8).reshape(-1, CHECKSUM_BYTES)


def are_whole(header: Header, records: Bytes, ids: Integers, views: Integers) -> np.ndarray[Any, Any]:
    """Return which of the records [B, record_bytes] have their checksum: bool [B]."""
    payloads, sums = records[:, :-CHECKSUM_BYTES], records[:, -CHECKSUM_BYTES:]
    return np.asarray((checksums(header, payloads, ids, views) == sums).all(1))


def pack_counts(header: Header, counts: Counts) -> bytes:
    """Return the bytes after a shard's records; see :attr:`Header.counts_bytes`."""
    content = np.array([counts[name] for name in header.outputs], dtype="<i8").tobytes()
    return content + zlib.crc32(content, header.checksum).to_bytes(CHECKSUM_BYTES, "little")


def unpack_counts(header: Header, content: bytes) -> Counts | None:
    """Return for each output the maps not stored exactly and all maps; None where the bytes are damaged."""
    numbers = np.frombuffer(content[:-CHECKSUM_BYTES], dtype="<i8").reshape(-1, 2).tolist()
    counts = {name: (inexact, total) for name, (inexact, total) in zip(header.outputs, numbers, strict=True)}
    return counts if pack_counts(header, counts) == content else None


def no_counts(header: Header) -> Counts:
    """Return zeros for each output."""
    return dict.fromkeys(header.outputs, (0, 0))


def add_counts(one: Counts, other: Counts) -> Counts:
    """Return the sums."""
    return {name: (one[name][0] + other[name][0], one[name][1] + other[name][1]) for name in one}
