"""What a cache says of itself: ``header.json``."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from kdkit.cache.codec import RecordCodec, Shape, codec_from
from kdkit.errors import CacheError, ConfigurationError
from kdkit.json_files import read_json
from kdkit.limits import Limits

FORMAT = 1
CHECKSUM_BYTES = 4
"""Of a CRC-32, at the end of each record and of each shard's counts."""

_MOST_BYTES = 2**24  # of a header
_MOST = 2**62  # of any number in it
_MOST_DIMENSIONS = 64  # as in PyTorch


@dataclass(frozen=True)
class StoredOutput:
    """One output of a cache.

    Attributes:
        shape: of a sample's target.
        codec: how it is stored.
    """

    shape: Shape
    codec: RecordCodec

    @property
    def record_bytes(self) -> int:
        """The bytes it takes of a record."""
        return self.codec.record_bytes(self.shape)


@dataclass(frozen=True)
class Header:
    """All that is known of a cache before its records are read.

    Attributes:
        outputs: by name, in the order in which they lie in a record.
        samples: the number of ids.
        ids_checksum: the CRC-32 of the ids as int64.
        views: the number of views of a sample.
        shard_records: the number of records in each shard but the last.
        fingerprint: what the targets depend on, see :func:`kdkit.cache.cache_fingerprint`.
        convention: what the teacher says that its targets mean.
        recorded: what else is worth knowing; nothing is compared with it.
    """

    outputs: Mapping[str, StoredOutput]
    samples: int
    ids_checksum: int
    views: int
    shard_records: int
    fingerprint: Mapping[str, str]
    convention: Mapping[str, str]
    recorded: Mapping[str, str]

    @property
    def record_bytes(self) -> int:
        """The bytes of a record, its checksum among them."""
        return sum(output.record_bytes for output in self.outputs.values()) + CHECKSUM_BYTES

    @property
    def records(self) -> int:
        """The number of records."""
        return self.samples * self.views

    @property
    def shards(self) -> int:
        """The number of shards."""
        return -(-self.records // self.shard_records)

    def records_of(self, shard: int) -> range:
        """Return the indices of a shard's records."""
        return range(shard * self.shard_records, min((shard + 1) * self.shard_records, self.records))

    @property
    def counts_bytes(self) -> int:
        """The bytes after a shard's records: for each output the maps not stored exactly and all maps."""
        return 16 * len(self.outputs) + CHECKSUM_BYTES

    def shard_bytes(self, shard: int) -> int:
        """Return the size of a shard's file."""
        return len(self.records_of(shard)) * self.record_bytes + self.counts_bytes

    @property
    def checksum(self) -> int:
        """A CRC-32 of all of it; each record's checksum begins with it, so a record belongs to one cache."""
        return zlib.crc32(json.dumps(self._content(), sort_keys=True).encode())

    def to_json(self) -> str:
        """Return the text of ``header.json``."""
        return json.dumps({**self._content(), "checksum": self.checksum}, indent=1) + "\n"

    def _content(self) -> dict[str, Any]:
        outputs = [
            {"name": name, "shape": list(output.shape), "codec": output.codec.describe()}
            for name, output in self.outputs.items()
        ]
        return {
            "format": FORMAT,
            "outputs": outputs,
            "samples": self.samples,
            "ids_checksum": self.ids_checksum,
            "views": self.views,
            "shard_records": self.shard_records,
            "record_bytes": self.record_bytes,
            "fingerprint": dict(self.fingerprint),
            "convention": dict(self.convention),
            "recorded": dict(self.recorded),
        }

    def items(self) -> dict[str, str]:
        """Return what must not differ for a build to go on: the fingerprint, and how each output is stored."""
        stored = {f"output '{name}'": f"{one.codec} {list(one.shape)}" for name, one in self.outputs.items()}
        layout = {"ids": f"{self.samples} of checksum {self.ids_checksum:08x}"}
        return {**self.fingerprint, "views": str(self.views), **layout, **stored}


def header_path(folder: Path) -> Path:
    """Return where a cache's header is."""
    return folder / "header.json"


def ids_path(folder: Path) -> Path:
    """Return where a cache's ids are: sorted, int64."""
    return folder / "ids.npy"


def shard_path(folder: Path, shard: int) -> Path:
    """Return where a shard is."""
    return folder / f"shard-{shard:05d}.bin"


def read_header(folder: Path) -> Header:
    """Return the header of the cache in a folder.

    Raises:
        CacheError: if there is none, or it is damaged, of another format, or beyond the `kdkit.Limits`.
    """
    path = header_path(folder)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        return _parse(read_json(path))
    except FileNotFoundError as error:
        raise CacheError(f"there is no cache in '{folder}' (no {path.name}): make one with build_cache") from error
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise CacheError(
            f"the cache's header '{path}' cannot be used: {error}; restore the file, or build the cache again in "
            f"another folder"
        ) from error


def _parse(content: object) -> Header:
    found = _typed("header", content, dict)
    if (number := found.get("format")) != FORMAT:
        raise ConfigurationError(f"its format is {number!r}, this kdkit reads format {FORMAT}")
    outputs = [_typed("outputs", one, dict) for one in _typed("outputs", found.get("outputs"), list)]
    header = Header(
        outputs={_typed("name", one.get("name"), str): _output(one) for one in outputs},
        samples=_whole(found, "samples", 1),
        ids_checksum=_whole(found, "ids_checksum", 0),
        views=_whole(found, "views", 1),
        shard_records=_whole(found, "shard_records", 1),
        fingerprint=_strings(found, "fingerprint"),
        convention=_strings(found, "convention"),
        recorded=_strings(found, "recorded"),
    )
    if not outputs or len(header.outputs) < len(outputs):
        raise ConfigurationError("its outputs are none, or two of one name")
    if _whole(found, "checksum", 0) != header.checksum or _whole(found, "record_bytes", 0) != header.record_bytes:
        raise ConfigurationError("it was changed after it was written")
    return header


def _output(found: Mapping[str, Any]) -> StoredOutput:
    shape = tuple(_typed("shape", found.get("shape"), list))
    if len(shape) > _MOST_DIMENSIONS or not all(type(size) is int and 1 <= size <= _MOST for size in shape):
        raise ConfigurationError(f"a shape is {str(list(shape))[:120]}")
    if (excess := Limits.current().excess("target_values", prod(shape), "numbers")) is not None:
        raise ConfigurationError(f"a target of the shape {list(shape)} has {excess}")
    stored = StoredOutput(shape, codec_from(_typed("codec", found.get("codec"), dict)))
    if stored.record_bytes > _MOST:
        raise ConfigurationError(f"a target of the shape {list(shape)} has {stored.record_bytes} bytes")
    return stored


def _whole(found: Mapping[str, Any], name: str, least: int) -> int:
    value = found.get(name)
    if type(value) is not int or not least <= value <= _MOST:
        raise ConfigurationError(f"'{name}' is {value!r}, no whole number of {least} or more")
    return value


def _strings(found: Mapping[str, Any], name: str) -> dict[str, str]:
    values: dict[str, str] = _typed(name, found.get(name), dict)
    return {key: _typed(name, value, str) for key, value in values.items()}


def _typed(name: str, value: object, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ConfigurationError(f"'{name}' is a {type(value).__name__}, not a {kind.__name__}")
    return value
