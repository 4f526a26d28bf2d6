"""Writing shards."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from kdkit.errors import DataError
from kdkit.files import write_atomically
from kdkit.streaming.extra import require_webdataset
from kdkit.streaming.shard_index import Shard

_LONGEST = 64  # a tar file's names have 100 characters
_READABLE = re.compile(r"[a-z0-9][^/A-Z]*")  # readers make small letters of capitals


def write_shard(path: str | Path, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> Shard:
    """Write a shard, which appears whole or not at all. The same samples make the same bytes.

    Args:
        path: the file.
        samples: the key of each, without a dot, and its files by their endings, such as ``jpg``. A key that is a
            decimal number becomes the sample's id.

    Returns:
        What the index says of it.

    Raises:
        ConfigurationError: if the package ``webdataset`` is missing.
        DataError: if there is no sample, a key has a dot or is there twice in a row, the name of a file cannot be
            read back, or the shard cannot be written.
        OSError: what ``samples`` raises itself.
    """
    target, writer, count = Path(path), require_webdataset().TarWriter, 0
    hashed: _Hashed | None = None
    given: OSError | None = None

    def watched() -> Iterator[tuple[str, Mapping[str, bytes]]]:
        nonlocal given
        try:
            yield from samples
        except OSError as error:
            given = error
            raise

    def write(file: BinaryIO) -> None:
        nonlocal count, hashed
        hashed, last = _Hashed(file), None
        with writer(hashed, encoder=False, mtime=0) as tar:
            for key, members in watched():
                _check(target, key, members)
                if key == last:
                    raise DataError(f"{target}: the key '{key}' is there twice in a row")
                tar.write({"__key__": key, **members})
                count, last = count + 1, key
        if not count:
            raise DataError(f"{target}: a shard needs a sample")

    try:
        write_atomically(target, write)
    except OSError as error:
        if error is given:
            raise  # the caller's own
        raise DataError(f"{target}: cannot be written ({error.strerror or error})") from error
    assert hashed is not None  # it was written
    return Shard(target.name, count, hashed.size, hashed.digest.hexdigest())


def _check(target: Path, key: str, members: Mapping[str, bytes]) -> None:
    if not 0 < len(key) <= _LONGEST or "." in key or not members:
        raise DataError(
            f"{target}: a sample needs files, and a key of 1 to {_LONGEST} characters without a dot, found "
            f"{key[:99]!r}"
        )
    for name in members:
        if not _READABLE.fullmatch(name):
            raise DataError(
                f"{target}: sample '{key}' has a file {name[:99]!r}, which would not be read back: an ending "
                f"begins with a letter or a digit, and has neither capitals nor slashes"
            )


class _Hashed:
    """A file that is only written to, and the checksum of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.size += len(content)
        self.digest.update(content)
        return self._file.write(content)
