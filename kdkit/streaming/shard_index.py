"""The index of a set of shards: what there is, without reading it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit.files import write_atomically

FORMAT = "kdkit shards 1"
"""What an index says it is."""
INDEX = "index.json"
"""The index's name in its folder."""


@dataclass(frozen=True)
class Shard:
    """One shard.

    Attributes:
        name: its file's, without a folder.
        samples: how many it holds.
        size: its bytes.
        sha256: of its content.
    """

    name: str
    samples: int
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardIndex:
    """The shards of a set, in their order.

    Args:
        shards: all of them.
    """

    shards: tuple[Shard, ...]

    @cached_property
    def samples(self) -> int:
        """How many samples the shards hold together."""
        return sum(shard.samples for shard in self.shards)

    @cached_property
    def fingerprint(self) -> str:
        """A SHA-256 of the shards' names, order, sizes and contents."""
        return hashlib.sha256(repr([tuple(asdict(shard).values()) for shard in self.shards]).encode()).hexdigest()

    def write(self, folder: str | Path) -> None:
        """Write the index beside its shards, atomically."""
        content = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "shards": [asdict(shard) for shard in self.shards],
        }
        text = json.dumps(content, indent=1) + "\n"
        write_atomically(Path(folder) / INDEX, lambda file: file.write(text.encode()))

    @classmethod
    def read(cls, folder: str | Path) -> "ShardIndex":
        """Read the index of a folder.

        Raises:
            DataError: there is none, or it is damaged.
        """
        path = Path(folder) / INDEX
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror or error}); an index is written last, so shards without "
                "one may be unfinished; kdkit.streaming.index_shards makes one for shards of another program"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: no valid JSON ({error})") from error
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise DataError(f"{path}: no index of shards (expected the format {FORMAT!r})")
        try:
            index = cls(tuple(_shard(item) for item in content["shards"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged index of shards ({error}); make it again") from error
        names = [shard.name for shard in index.shards]
        if not names or len(set(names)) < len(names) or content.get("fingerprint") != index.fingerprint:
            raise DataError(f"{path}: damaged or changed: its fingerprint is another; make it again")
        return index


def _shard(item: Mapping[str, Any]) -> Shard:
    shard = Shard(**item)
    # A name is joined to a folder, or handed to who opens it: it must lead nowhere else.
    if not isinstance(shard.name, str) or not is_plain(shard.name):
        raise ValueError(f"{str(shard.name)[:60]!r} is no plain file name")
    for count in (shard.samples, shard.size):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{shard.name}: expected a number above 0, found {str(count)[:60]}")
    if not isinstance(shard.sha256, str):
        raise TypeError(f"{shard.name}: expected a SHA-256, found {str(shard.sha256)[:60]}")
    return shard


def is_plain(name: str) -> bool:
    """Return whether a name is that of a file in a folder, and leads nowhere else."""
    return bool(name) and not name.startswith(".") and not any(sign in name for sign in "/\\:|\0")
