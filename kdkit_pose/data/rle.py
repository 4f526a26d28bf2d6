"""COCO's run-length encoding of masks: runs of zeros and ones in turn, down the columns from the left.

The compressed form writes each run as the difference to the one two before, in characters of 5 bits. pycocotools
writes it; reading is done here, in numpy, since its decoder warns under numpy 2 and trusts what it reads.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError

Runs = npt.NDArray[np.int64]


def decompress(counts: bytes) -> Runs:
    """The run lengths that a compressed string holds.

    The inverse of ``rleToString`` in cocoapi's maskApi.c.

    Raises:
        DataError: It is no such string.
    """
    characters = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    continued = (characters & 0x20) != 0
    if not characters.size or continued[-1] or characters.min() < 0 or characters.max() > 63:
        raise DataError("its segmentation is no compressed RLE string")
    ends = np.flatnonzero(~continued)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 12:
        raise DataError("its segmentation's RLE holds a number of more than 60 bits")
    place = np.arange(characters.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((characters & 0x1F) << (5 * place), starts)
    negative = (characters[ends] & 0x10) != 0
    runs = np.where(negative, runs - (1 << (5 * lengths)), runs)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def parse_runs(counts: Any, pixels: int) -> Runs:
    """The run lengths of a COCO file's ``counts``, a list or a compressed string, for a mask of ``pixels``.

    Raises:
        DataError: It is neither, or the runs do not add up to the mask.
    """
    if isinstance(counts, str) and counts.isascii():
        counts = counts.encode()
    if isinstance(counts, bytes):
        runs = decompress(counts)
    elif isinstance(counts, list) and all(isinstance(run, int) and 0 <= run <= pixels for run in counts):
        runs = np.array(counts, dtype=np.int64)
    else:
        raise DataError("its segmentation's RLE has no valid counts, a list of run lengths or a string")
    if runs.min(initial=0) < 0 or runs.max(initial=0) > pixels or runs.sum() != pixels:
        raise DataError(f"its segmentation's run lengths do not add up to the {pixels} pixels of its size")
    return runs


def paint(runs: Runs, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The mask [height, width], laid out in columns, of run lengths that add up to it: 0 outside, 255 inside."""
    values = np.zeros(len(runs), dtype=np.uint8)
    values[1::2] = 255
    return np.repeat(values, runs).reshape(width, height).T
