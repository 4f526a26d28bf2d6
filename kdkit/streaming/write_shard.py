"""Writing shards."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from kdkit.errors import DataError
from kdkit.files import write_atomically
from kdkit.streaming.extra import require_webdataset
from kdkit.streaming.shard_index import Shard

_LONGEST = 64  # a tar file's names have 100 characters


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
        DataError: if there is no sample, a key has a dot or is there twice in a row, or the file cannot be
            written.
    """
    target, writer, count = Path(path), require_webdataset().TarWriter, 0
    hashed = None

    def write(file: BinaryIO) -> None:
        nonlocal count, hashed
        hashed, last = _Hashed(file), None
        with writer(hashed, encoder=False, mtime=0) as tar:
            for key, members in samples:
                if not 0 < len(key) <= _LONGEST or "." in key or key == last or not members:
                    raise DataError(
                        f"{target}: a sample needs files, and a key of 1 to {_LONGEST} characters without a dot "
                        f"that is not the one before, found {key[:99]!r}"
                    )
                tar.write({"__key__": key, **members})
                count, last = count + 1, key
        if not count:
            raise DataError(f"{target}: a shard needs a sample")

    try:
        write_atomically(target, write)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror or error})") from error
    assert hashed is not None  # it was written
    return Shard(target.name, count, hashed.size, hashed.digest.hexdigest())


class _Hashed:
    """A file that is only written to, and the checksum of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.size += len(content)
        self.digest.update(content)
        return self._file.write(content)
