"""Making shards of a data set: every person cut from its picture once, into tar files that are read in a row."""

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kdkit.errors import ConfigurationError, DataError
from kdkit.files import remove_leftovers, write_atomically
from kdkit.sampling import order_generator
from kdkit.streaming import Shard, ShardIndex, Shards, write_shard
from kdkit.streaming.extra import require_webdataset
from kdkit.streaming.shards import describe_shard
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.coco import CocoKeypoints
from kdkit_pose.data.images import PictureSource, read_picture
from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.data.packing.cutting import cut
from kdkit_pose.data.packing.geometry import Records, sizes
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.layout import SHARD_BYTES, describe, lay_out, regions_of
from kdkit_pose.data.packing.pack import WIDEST
from kdkit_pose.data.packing.region import Region
from kdkit_pose.data.streaming.person_files import Encoding, check_encoding, person_files

PERSONS = "persons.json"
"""What a folder of shards says of the persons in them."""


def shard(
    dataset: CocoKeypoints,
    out: str | Path,
    *,
    augment: Augment | None = WIDEST,
    oversample: float = 2.0,
    encoding: Encoding = "raw",
    workers: int = 0,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Cut every person of a data set from its picture, into shards that `StreamedKeypoints` reads.

    What is kept of each person is what :func:`pack` keeps. Pictures come in a random order, always the same;
    persons of one picture follow each other.

    What is interrupted is gone on with by the same call: a shard appears whole or not at all, and those that are
    there stay, if their checksums are right. So are those of a finished folder looked at: what was lost or damaged
    is made again. The folder can be read once its index is there, which is written last. What is written does not
    depend on the number of workers.

    Args:
        dataset: The persons; its codec gives the input's size. Of its augmentation and seed nothing is used.
        out: The folder; made where it is missing.
        augment: The widest variation that the persons are to be read with; None for none.
        oversample: As for :func:`pack`.
        encoding: ``"raw"`` bytes, or ``"png"``: fewer bytes, more time to read them, and the same pixels.
        workers: Processes that cut; 0 cuts in this one.
        shard_bytes: About how many bytes of pixels a shard holds.
        progress: Called with how many persons are done and how many there are.

    Returns:
        The folder.

    Raises:
        ConfigurationError: The package ``webdataset`` is missing, ``oversample`` is not above 0, a number of
            workers below 0, a shard of no bytes, or an unknown encoding.
        DataError: A picture cannot be used, the folder holds something else or other persons (what differs is
            named), or there is too little room on the disk.
    """
    require_webdataset()
    check_encoding(encoding)
    if not 0 < oversample < float("inf") or workers < 0 or shard_bytes < 1:
        raise ConfigurationError(
            f"making shards needs an oversample above 0, 0 or more workers and shards of at least 1 byte, found "
            f"{oversample}, {workers} and {shard_bytes}"
        )
    folder = Path(out)
    regions = regions_of(dataset, oversample, augment)
    # Laid out as a folder of packed persons would be: the samples are the same, and say so.
    records, packed_sizes = lay_out(dataset, regions, SHARD_BYTES)
    header = describe(dataset, records, packed_sizes, oversample, augment)
    _begin(folder, header, encoding, shard_bytes, int((records["planes"] == 4).sum()))
    known = _known_sums(folder)
    if known is None:
        return folder
    tasks = list(_tasks(dataset, regions, records, folder, encoding, shard_bytes, known))
    if encoding == "raw":
        _check_room(folder, sum(task.least_bytes for task in tasks if not task.path.exists()))
    written, done = [], 0
    for one in _written(tasks, workers):
        written.append(one)
        done += one.samples
        if progress is not None:
            progress(done, header.persons)
    ShardIndex(tuple(written)).write(folder)
    for task in tasks:
        task.sum_path.unlink(missing_ok=True)
    return folder


@dataclass(frozen=True)
class _Person:
    """One person to cut."""

    record: Records
    region: Region
    mask: EncodedMask | None


@dataclass(frozen=True)
class _Task:
    """All that is needed to write one shard, in whatever process."""

    path: Path
    images: PictureSource
    pictures: tuple[tuple[Mapping[str, Any], tuple[_Person, ...]], ...]
    encoding: Encoding
    known: str | None
    """The checksum that an index says."""

    @property
    def sum_path(self) -> Path:
        """Where the checksum of a finished shard is, as long as there is no index."""
        return self.path.with_name(f"{self.path.name}.sha256")

    @property
    def least_bytes(self) -> int:
        """The bytes of its pixels, as they are."""
        return sum(int(sizes(person.record).sum()) for _, persons in self.pictures for person in persons)

    def write(self) -> Shard:
        """Write the file, unless it is there, as it was written.

        Raises:
            DataError: A picture cannot be used, or the file cannot be written.
        """
        known = self.sum_path.read_text() if self.sum_path.exists() else self.known
        if known is not None and self.path.exists():
            try:
                found = describe_shard(self.path)
            except DataError:
                pass  # damaged
            else:
                if found.sha256 == known:
                    return found
        remove_leftovers(self.path)
        written = write_shard(self.path, self._samples())
        write_atomically(self.sum_path, lambda file: file.write(written.sha256.encode()))
        return written

    def _samples(self) -> Iterator[tuple[str, Mapping[str, bytes]]]:
        for entry, persons in self.pictures:
            picture = read_picture(self.images, entry)
            for person in persons:
                pixels = cut(picture, person.region, person.mask)
                yield f"{int(person.record['id'][0]):012d}", person_files(person.record, pixels, self.encoding)


def _begin(folder: Path, header: Header, encoding: str, shard_bytes: int, masked: int) -> None:
    """Let the folder say what it is to hold.

    Raises:
        DataError: It holds something else, or other persons.
    """
    path = folder / PERSONS
    content = {**header.to_json(), "masked": masked, "encoding": encoding, "shard_bytes": shard_bytes}
    if path.exists():
        differences = Header.read(path).differences(header)
        found = json.loads(path.read_bytes())
        differences += [
            f"{name}: {found.get(name)} and {content[name]}"
            for name in ("encoding", "shard_bytes")
            if found.get(name) != content[name]
        ]
        if differences:
            raise DataError(
                f"{folder}: holds shards of other persons, which differ in {', '.join(differences)} (there and "
                "now): give another folder, or remove this one"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is not empty, and holds no shards of persons: give another folder")
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _known_sums(folder: Path) -> dict[str, str] | None:
    """The checksums of an index by the shards' names, none without an index; None where all shards are so."""
    try:
        index = ShardIndex.read(folder)
    except DataError:
        return {}
    try:
        Shards(folder).verify()
    except DataError:
        return {shard.name: shard.sha256 for shard in index.shards}
    return None


def _tasks(
    dataset: CocoKeypoints,
    regions: Sequence[Region],
    records: Records,
    folder: Path,
    encoding: Encoding,
    shard_bytes: int,
    known: Mapping[str, str],
) -> Iterator[_Task]:
    image_ids = np.unique(records["image_id"])
    place = np.empty(len(image_ids), dtype=np.int64)
    place[order_generator(0, 0).permutation(len(image_ids))] = np.arange(len(image_ids))
    rows = np.argsort(place[np.searchsorted(image_ids, records["image_id"])], kind="stable")
    ends = sizes(records)[rows].cumsum()
    # A shard ends behind the person with whom it is full.
    numbers = (np.concatenate([[0], ends[:-1]]) // shard_bytes).tolist()
    whole = zip(numbers, rows.tolist(), strict=True)
    for number, (_, of_shard) in enumerate(groupby(whole, key=lambda pair: pair[0])):
        pictures = tuple(
            (
                dataset.entries[image_id],
                tuple(
                    _Person(
                        records[row : row + 1],
                        regions[row],
                        dataset.people.masks.read(row) if dataset.has_masks else None,
                    )
                    for _, row in of_picture
                ),
            )
            for image_id, of_picture in groupby(of_shard, key=lambda pair: int(records["image_id"][pair[1]]))
        )
        path = folder / f"shard-{number:06d}.tar"
        yield _Task(path, dataset.images, pictures, encoding, known.get(path.name))


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: the persons take {needed / 1e9:.2f} GB more, and {free / 1e9:.2f} GB are free on the "
            "disk: make room, give another folder, a lower oversample, or png as encoding"
        )


def _written(tasks: Sequence[_Task], workers: int) -> Iterator[Shard]:
    if not workers:
        yield from map(_Task.write, tasks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(_Task.write, tasks)
