"""A sample as it lies in a shard: the bytes of its files."""

import hashlib
import io
import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError

# What numpy's parser of headers comes upon.
_DAMAGE = (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError, OverflowError, TokenError)
# How long the header is, by the format's version.
_LENGTHS = {(1, 0): struct.Struct("<H"), (2, 0): struct.Struct("<I")}
_INTEGER = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True)
class ShardSample:
    """One sample of a shard, not decoded yet.

    Nothing in here is ever unpickled: what the bytes mean is for who reads them, by :meth:`array`, :meth:`json` or
    a decoder of pictures.

    Args:
        key: what the names of its files begin with.
        members: the content of each, by what comes after the key and a dot: ``jpg``, ``person.npy``.
        source: the shard, for errors.

    >>> ShardSample("000000000042", {"json": b'{"label": 3}'}, "shard-00000.tar").json("json")
    {'label': 3}
    """

    key: str
    members: Mapping[str, bytes]
    source: str

    @property
    def id(self) -> int:
        """The key as a number, for ``kdkit.sampling.sample_generator`` and caches; a key that is none has one from
        its SHA-256, of 63 bits."""
        name = self.key.rpartition("/")[2]
        if _INTEGER.fullmatch(name):
            return int(name)
        return int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:8]) >> 1

    def member(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            DataError: there is none of that name.
        """
        try:
            return self.members[name]
        except KeyError:
            raise DataError(
                f"{self.source}: sample '{self.key}' has no '{name}', but {', '.join(sorted(self.members))}"
            ) from None

    def json(self, name: str) -> Any:
        """Return what a JSON file holds.

        Raises:
            DataError: there is none of that name, or it is no JSON.
        """
        try:
            return json.loads(self.member(name))
        except (ValueError, RecursionError) as error:
            raise self._damaged(name, error) from error

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return what a file of numpy's format holds; not to be written to. Arrays of objects are refused.

        Raises:
            DataError: there is none of that name, or it is damaged.
        """
        content = self.member(name)
        try:
            return _array(content)
        except _DAMAGE as error:
            raise self._damaged(name, error) from error

    def _damaged(self, name: str, error: Exception) -> DataError:
        return DataError(f"{self.source}: '{name}' of sample '{self.key}' is damaged ({error})")


def _array(content: bytes) -> npt.NDArray[Any]:
    """Read an array without copying it, and without room for more than is there."""
    begin = _header_end(content)
    shape, by_columns, dtype = _parsed(content[:begin])
    count = math.prod(shape)
    if any(length < 0 for length in shape) or len(content) - begin != count * dtype.itemsize:
        raise ValueError(f"{shape} of {dtype} are not in {len(content) - begin} bytes")
    if not count:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype, count, begin).reshape(shape, order="F" if by_columns else "C")


def _header_end(content: bytes) -> int:
    """Return where an array's header ends, as its first bytes say."""
    version = np.lib.format.read_magic(io.BytesIO(content[:8]))
    if version not in _LENGTHS:
        raise ValueError(f"version {version} of the format")
    length = _LENGTHS[version]
    if len(content) < 8 + length.size:
        raise EOFError("its header is cut off")
    begin = 8 + length.size + int(length.unpack_from(content, 8)[0])
    if begin > len(content):
        raise EOFError("its header is cut off")
    return begin


@lru_cache(maxsize=256)  # a set's samples have few, and numpy takes long to read one
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether it is laid out by columns, and type."""
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never read")
    return shape, by_columns, dtype
