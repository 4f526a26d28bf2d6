"""Packing a data set: every person cut from its picture once, to be read without decoding pictures."""

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from kdkit.errors import ConfigurationError, DataError
from kdkit.files import write_atomically
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.coco import CocoKeypoints
from kdkit_pose.data.packing.cutting import Cut, Shard
from kdkit_pose.data.packing.geometry import NAME, Records, to_bytes
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.layout import SHARD_BYTES, describe, lay_out, regions_of
from kdkit_pose.data.packing.region import Region

HEADER = "header.json"
"""Of a folder that is whole."""
UNFINISHED = "unfinished.json"
"""The same of a folder that is being written."""
WIDEST = Augment()
"""What packed persons have room for by default: the variations of the HRNet reference."""


def shard_name(number: int) -> str:
    """The name of a shard's file."""
    return f"shard-{number:05d}.bin"


def pack(
    dataset: CocoKeypoints,
    out: str | Path,
    *,
    augment: Augment | None = WIDEST,
    oversample: float = 2.0,
    workers: int = 0,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Cut every person of a data set from its picture, into a folder that `PackedKeypoints` reads.

    A person's pixels, uint8 with the mask as a fourth plane, are kept with room for every view that ``augment``
    can draw, as far as the picture reaches: where the picture is no finer than needed, pixel for pixel. Codec,
    seed and augmentation are chosen when they are read.

    What is interrupted is gone on with by the same call: a shard appears whole or not at all, and those that are
    there stay. What a finished folder has lost is made again. It can be read once its header is there, which is
    written last. It does not depend on the
    number of workers.

    Args:
        dataset: The persons; its codec gives the input's size. Of its augmentation and seed nothing is used.
        out: The folder; made where it is missing.
        augment: The widest variation that the persons are to be read with; None for none.
        oversample: How many kept pixels an input pixel spans at most, along each axis, where nothing is zoomed.
            Larger crops are reduced to that. The how-to on packed data shows how to measure what that loses.
        workers: Processes that cut; 0 cuts in this one.
        shard_bytes: About how large a file becomes; so much memory is used by each process.
        progress: Called with how many persons are done and how many there are.

    Returns:
        The folder.

    Raises:
        ConfigurationError: ``oversample`` is not above 0, a number of workers below 0, or a shard of no bytes.
        DataError: A picture cannot be used, the folder holds something else or other persons (what differs is
            named), or there is too little room on the disk.
    """
    if not 0 < oversample < float("inf") or workers < 0 or shard_bytes < 1:
        raise ConfigurationError(
            f"packing needs an oversample above 0, 0 or more workers and shards of at least 1 byte, found "
            f"{oversample}, {workers} and {shard_bytes}"
        )
    folder = Path(out)
    regions = regions_of(dataset, oversample, augment)
    records, shard_sizes = lay_out(dataset, regions, shard_bytes)
    header = describe(dataset, records, shard_sizes, oversample, augment)
    _begin(folder, header)
    missing = [
        shard
        for shard in _shards(dataset, regions, records, shard_sizes, folder)
        if not shard.path.exists() or shard.path.stat().st_size != shard.size
    ]
    content = to_bytes(records)
    if missing:
        _check_room(folder, sum(shard.size for shard in missing) + len(content))
    done = header.persons - sum(shard.persons for shard in missing)
    for persons in _written(missing, workers):
        done += persons
        if progress is not None:
            progress(done, header.persons)
    if not _holds(folder / NAME, content):
        write_atomically(folder / NAME, lambda file: file.write(content))
    if not (folder / HEADER).exists():
        _write_header(folder / HEADER, header)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return folder


def packed_bytes(dataset: CocoKeypoints, *, augment: Augment | None = WIDEST, oversample: float = 2.0) -> int:
    """How many bytes the files of persons take that :func:`pack` writes, without reading a picture.

    Those of the shards and of the persons' geometry; the header beside them, which lists what was left
    out, is not counted.

    Args:
        dataset: As for :func:`pack`; a data set of ``verify=False`` needs no pictures at all.
        augment: As for :func:`pack`.
        oversample: As for :func:`pack`.

    Raises:
        ConfigurationError: ``oversample`` is not above 0.
    """
    if not 0 < oversample < float("inf"):
        raise ConfigurationError(f"packing needs an oversample above 0, found {oversample}")
    records, shard_sizes = lay_out(dataset, regions_of(dataset, oversample, augment), shard_bytes=1)
    return sum(shard_sizes) + len(to_bytes(records))


def _begin(folder: Path, header: Header) -> None:
    """Let the folder say what is to become of it, unless it is finished already.

    Raises:
        DataError: It holds something else, or other persons.
    """
    for name in (HEADER, UNFINISHED):
        if (folder / name).exists():
            differences = Header.read(folder / name).differences(header)
            if differences:
                raise DataError(
                    f"{folder}: holds other packed persons, which differ in {', '.join(differences)} (there and "
                    "now): give another folder, or remove this one"
                )
            return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is not empty, and holds no packed persons: give another folder")
    _write_header(folder / UNFINISHED, header)


def _holds(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _write_header(path: Path, header: Header) -> None:
    text = json.dumps(header.to_json(), indent=1) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: the persons take {needed / 1e9:.2f} GB more, and {free / 1e9:.2f} GB are free on the "
            "disk: make room, give another folder, or a lower oversample"
        )


def _shards(
    dataset: CocoKeypoints,
    regions: Sequence[Region],
    records: Records,
    shard_sizes: tuple[int, ...],
    folder: Path,
) -> Iterator[Shard]:
    order = np.lexsort((records["offset"], records["shard"])).tolist()
    for number, rows in groupby(order, key=lambda row: int(records["shard"][row])):
        pictures = tuple(
            (
                dataset.entries[image_id],
                tuple(
                    Cut(
                        regions[row],
                        dataset.people.masks.read(row) if dataset.has_masks else None,
                        int(records["offset"][row]),
                    )
                    for row in of_picture
                ),
            )
            for image_id, of_picture in groupby(rows, key=lambda row: int(records["image_id"][row]))
        )
        yield Shard(folder / shard_name(number), shard_sizes[number], dataset.images, pictures)


def _written(shards: Sequence[Shard], workers: int) -> Iterator[int]:
    """Write the shards; gives the number of persons of each that is there."""
    if not workers:
        yield from map(Shard.write, shards)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(Shard.write, shards)
