"""The file of the packed persons' geometry: one record a person, in the order of the samples."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError
from kdkit_pose.data.numerals import FARTHEST
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.people import People

NAME = "persons.npy"
"""The file's name in its folder."""
Records = npt.NDArray[np.void]


def record_type(num_keypoints: int) -> np.dtype[Any]:
    """What is kept of each person beside the pixels; lengths are in pixels of the picture.

    ``window`` and ``stored`` are those of `Region`. The pixels lie in ``shard`` from byte ``offset`` on, row by
    row: red, green, blue, and with 4 ``planes`` the mask.
    """
    return np.dtype(
        [
            ("id", "<i8"),
            ("image_id", "<i8"),
            ("picture_width", "<i8"),
            ("center", "<f8", 2),
            ("scale", "<f8", 2),
            ("box_score", "<f4"),
            ("keypoints", "<f8", (num_keypoints, 2)),
            ("labelled", "?", num_keypoints),
            ("window", "<i8", 4),
            ("stored", "<i8", 2),
            ("planes", "<i8"),
            ("shard", "<i8"),
            ("offset", "<i8"),
        ]
    )


def describe_people(people: People, picture_widths: npt.NDArray[np.int64]) -> Records:
    """Records of the persons, with the fields of their pixels still at 0."""
    records = np.zeros(len(people), dtype=record_type(people.keypoints.shape[1]))
    for name, values in (
        *(("id", people.ids), ("image_id", people.image_ids), ("picture_width", picture_widths)),
        *(("center", people.centers), ("scale", people.scales), ("box_score", people.box_scores)),
        *(("keypoints", people.keypoints), ("labelled", people.labelled)),
    ):
        records[name] = values
    return records


def to_bytes(records: Records) -> bytes:
    """The file's content, in numpy's own format."""
    buffer = io.BytesIO()
    np.save(buffer, records, allow_pickle=False)
    return buffer.getvalue()


def read_records(folder: Path, header: Header) -> Records:
    """The records of a folder, checked: everything in them may be trusted to lie within the shards.

    Raises:
        DataError: The file is missing, was changed, or does not belong to the header.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if hashlib.sha256(content).hexdigest() != header.persons_sha256:
        raise DataError(f"{path}: not the file that was packed: damaged or changed; pack the persons again")
    expected = record_type(header.skeleton.num_keypoints if header.has_targets else 0)
    try:
        kind, shape, start = _described(content)
    except Exception as error:  # of a damaged beginning numpy may raise anything
        raise DataError(f"{path}: not a file of packed persons ({error}); pack them again") from error
    # What it says of its size is compared, and nothing allocated for it.
    size = expected.itemsize * header.persons
    if kind != expected or shape != (header.persons,) or len(content) != start + size:
        raise DataError(f"{path}: does not fit its header; pack the persons again")
    records = np.frombuffer(content, dtype=expected, offset=start).copy()
    if not _within(records, header.shards):
        raise DataError(f"{path}: does not fit its header; pack the persons again")
    if not _sound(records):
        raise DataError(f"{path}: holds persons that cannot be; pack them again")
    return records


def sizes(records: Records) -> npt.NDArray[np.int64]:
    """The bytes [N] of each person's pixels."""
    size: npt.NDArray[np.int64] = records["stored"].prod(axis=1) * records["planes"]
    return size


def _described(content: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """The type and shape that numpy's file says that it has, and where its values begin."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of numpy's format")
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    return kind, shape, file.tell()


def _sound(records: Records) -> bool:
    """Whether all lengths are such as arrays and drawing can hold."""
    lengths = [records[name] for name in ("center", "scale", "keypoints", "window", "picture_width", "box_score")]
    near = all(bool((np.abs(one) <= FARTHEST).all()) for one in lengths)  # not so of what is not a number, either
    return near and bool((records["scale"] > 0).all() and (records["window"][:, 2:] > 0).all())


def _within(records: Records, shards: tuple[int, ...]) -> bool:
    stored = records["stored"]
    # No side longer than OpenCV warps, so that the product cannot overflow.
    if not np.isin(records["planes"], (3, 4)).all() or (stored < 1).any() or (stored >= 2**15).any():
        return False
    shard, limits = records["shard"], np.array([*shards, 0])
    known = (shard >= 0) & (shard < len(shards))
    if not known.all() or (records["offset"] < 0).any():
        return False
    room = limits[shard] - records["offset"]
    return bool((sizes(records) <= room).all())
