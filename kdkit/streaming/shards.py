"""Reading the samples of shards: tar files in WebDataset's layout."""

import hashlib
import os
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from kdkit.errors import DataError
from kdkit.streaming.extra import require_webdataset
from kdkit.streaming.shard_index import Shard, ShardIndex, is_plain
from kdkit.streaming.shard_sample import ShardSample

OpenShard = Callable[[str], BinaryIO]
_CHUNK = 2**20
_END = bytes(tarfile.BLOCKSIZE)
_DAMAGE = (tarfile.TarError, OSError, ValueError, EOFError, OverflowError)


class Shards:
    """The shards that a folder's index lists.

    A shard is a tar file, not compressed, in which the files of a sample follow each other and have names that
    differ only behind their first dot. Files of samples that are skipped are not read: only their headers are.

    Args:
        folder: where the index is, and the shards, unless ``open_shard`` says otherwise.
        open_shard: opens a shard by its name, wherever that is, as a file that can ``seek``, as those of fsspec.
            Each worker has a copy of it.

    Raises:
        ConfigurationError: if the package ``webdataset`` is missing.
        DataError: if there is no index, or a shard in the folder is missing or of another size than it says.
    """

    def __init__(self, folder: str | Path, *, open_shard: OpenShard | None = None) -> None:
        require_webdataset()
        self.folder, self._open_shard = Path(folder), open_shard
        self.index = ShardIndex.read(folder)
        if open_shard is None:
            for shard in self.index.shards:
                self._check_size(shard)
        self._ends = list(accumulate(shard.samples for shard in self.index.shards))
        self._next: list[Any] = [None, None]  # a place, and what reads on from there; copies share it

    def __len__(self) -> int:
        """How many samples there are."""
        return self.index.samples

    def sample(self, row: int) -> ShardSample:
        """Return one sample, by its place in the set: fast for places that follow each other.

        Raises:
            IndexError: there is no such place.
            DataError: as :meth:`read`.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"sample {row} of {len(self)}")
        shard = bisect_right(self._ends, row)
        start = row - (self._ends[shard - 1] if shard else 0)
        # A forked process must not move the file of the one that opened it.
        place = (os.getpid(), shard, start)
        reader = self._next[1] if self._next[0] == place else self.read(shard, start)
        # One that fails is at its end: the next try begins anew.
        self._next[:] = [None, None]
        found: ShardSample = next(reader)
        self._next[:] = [(*place[:2], start + 1), reader]
        return found

    def read(
        self, number: int, start: int = 0, stop: int | None = None, names: Collection[str] | None = None
    ) -> Iterator[ShardSample]:
        """Yield the samples of one shard, in its order.

        Args:
            number: the shard's place in the index.
            start: how many to skip.
            stop: where to end; by default at the shard's end.
            names: which files of a sample are read; by default all.

        Raises:
            DataError: naming the shard: it is missing, damaged, cut off, or holds another number of samples than
                the index says.
        """
        shard = self.index.shards[number]
        stop = shard.samples if stop is None else stop
        if start >= stop:
            return
        place = self._place(shard)
        found = 0
        try:
            with self._open(shard) as file:
                # A file that is cut off between two headers looks like one that ends there.
                if (size := file.seek(0, 2)) != shard.size:
                    raise DataError(f"{place}: has {size} bytes, not {shard.size}; copy or make it again")
                file.seek(0)
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    for group in _groups(tar, shard.size):
                        found += 1
                        if found > stop:
                            break
                        if found > start:
                            yield ShardSample(group["__key__"], _read_files(file, group, names), place)
        except _DAMAGE as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{place}: cannot be read behind {found} of its {shard.samples} samples: "
                f"{error.args[0] if error.args else error}; copy or make it again"
            ) from error
        if found < stop or (stop == shard.samples and found > stop):
            many = "more" if found > stop else f"only {found}"
            raise DataError(
                f"{place}: holds {many} samples, its index says {shard.samples}: it is cut off, or another file; "
                "copy or make it again"
            )

    def verify(self) -> None:
        """Read every shard and compare its checksum.

        Raises:
            DataError: naming the first that is not as the index says.
        """
        for shard in self.index.shards:
            digest = hashlib.sha256()
            try:
                with self._open(shard) as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
            except OSError as error:
                raise DataError(f"{self._place(shard)}: cannot be read ({error.strerror or error})") from error
            if digest.hexdigest() != shard.sha256:
                raise DataError(f"{self._place(shard)}: its checksum is another: copy or make it again")

    def __repr__(self) -> str:
        return f"Shards({len(self)} samples in {len(self.index.shards)} shards of '{self.folder}')"

    def __getstate__(self) -> dict[str, Any]:
        # Open files do not travel.
        return self.__dict__ | {"_next": [None, None]}

    def _open(self, shard: Shard) -> BinaryIO:
        if self._open_shard is not None:
            return self._open_shard(shard.name)
        return (self.folder / shard.name).open("rb")

    def _place(self, shard: Shard) -> str:
        return shard.name if self._open_shard is not None else str(self.folder / shard.name)

    def _check_size(self, shard: Shard) -> None:
        path = self.folder / shard.name
        found = path.stat().st_size if path.is_file() else None
        if found != shard.size:
            what = "is missing" if found is None else f"has {found} bytes, not {shard.size}"
            raise DataError(f"{path}: {what}; copy it again, or make the shards again")


def index_shards(folder: str | Path, pattern: str = "*.tar") -> ShardIndex:
    """Make and write the index of shards that another program wrote; each is read once.

    Args:
        folder: where they are.
        pattern: which files are shards; their names give the order.

    Raises:
        ConfigurationError: if the package ``webdataset`` is missing.
        DataError: if there are none, or one cannot be read or holds no sample.
    """
    require_webdataset()
    paths = sorted(path for path in Path(folder).glob(pattern) if path.is_file() and is_plain(path.name))
    if not paths:
        raise DataError(f"{folder}: no shards named '{pattern}'")
    index = ShardIndex(tuple(describe_shard(path) for path in paths))
    index.write(folder)
    return index


def describe_shard(path: Path) -> Shard:
    """Read a shard, and return what an index says of it.

    Raises:
        DataError: if it cannot be read, or holds no sample.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                samples = sum(1 for _ in _groups(tar, size))
                file.seek(tar.offset)
                if file.read(len(_END)) != _END:
                    raise tarfile.ReadError("it is cut off")
    except _DAMAGE as error:
        raise DataError(f"{path}: no shard, or damaged: {error.args[0] if error.args else error}") from error
    if not samples:
        raise DataError(f"{path}: holds no sample")
    return Shard(path.name, samples, size, digest)


def _groups(tar: tarfile.TarFile, limit: int) -> Iterator[dict[str, Any]]:
    """Yield the headers of each sample's files, as the package groups them."""
    groups: Iterator[dict[str, Any]] = require_webdataset().tariterators.group_by_keys(_headers(tar, limit))
    return groups


def _headers(tar: tarfile.TarFile, limit: int) -> Iterator[dict[str, Any]]:
    """Yield the files' headers, in the form in which the package hands on their content."""
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # else it keeps every header
        if info.isdir() or (info.name.startswith("__") and info.name.endswith("__")):
            continue
        # A sparse file may claim any size, and a link may lead anywhere.
        if not info.isreg() or info.issparse() or info.size > limit:
            raise tarfile.ReadError(f"{info.name[:60]!r} is no plain file, or claims more bytes than there are")
        yield {"fname": info.name, "data": info, "__url__": ""}


def _read_files(file: BinaryIO, group: dict[str, Any], names: Collection[str] | None) -> dict[str, bytes]:
    """Read a sample's files, without the copies that the tar file's own reading makes."""
    members = {}
    for name, info in group.items():
        if isinstance(info, tarfile.TarInfo) and (names is None or name in names):
            file.seek(info.offset_data)
            members[name] = file.read(info.size)
            if len(members[name]) != info.size:
                raise tarfile.ReadError(f"'{name}' of sample '{group['__key__']}' is cut off")
    return members
