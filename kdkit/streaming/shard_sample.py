"""A sample as it lies in a shard: the bytes of its files."""

import hashlib
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError

# What numpy's parser of headers comes upon.
_DAMAGE = (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError, OverflowError, TokenError)
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
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never read")
    begin, count = stream.tell(), math.prod(shape)
    if any(length < 0 for length in shape) or len(content) - begin != count * dtype.itemsize:
        raise ValueError(f"{shape} of {dtype} are not in {len(content) - begin} bytes")
    if not count:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype, count, begin).reshape(shape, order="F" if by_columns else "C")
