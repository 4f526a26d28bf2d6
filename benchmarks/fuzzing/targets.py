"""The readers, each with files that it reads, and with how those are spoilt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

ANNOTATIONS = "annotations"
STORED = "checkpoints and caches"
PICTURES = "pictures"
GROUPS = (ANNOTATIONS, STORED, PICTURES)

Files = Mapping[str, bytes]
"""Contents by path within a folder."""


@dataclass(frozen=True)
class Target:
    """Something that reads files which others wrote.

    Attributes:
        name: of what is read.
        group: one of `GROUPS`.
        files: valid ones.
        spoil: gives the files that change, by a generator.
        read: reads the folder as a user of the library would; raises where it cannot be used.
    """

    name: str
    group: str
    files: Files
    spoil: Callable[[Random, Files], Files]
    read: Callable[[Path], object]


def one_of(names: tuple[str, ...], spoil: Callable[[Random, bytes], bytes]) -> Callable[[Random, Files], Files]:
    """Spoil one of some files."""

    def change(random: Random, files: Files) -> Files:
        name = random.choice(names)
        return {name: spoil(random, files[name])}

    return change


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder and below it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
