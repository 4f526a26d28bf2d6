"""Whether a picture file is whole, told from its first and last bytes, without decoding it."""

import io
import os
from dataclasses import dataclass
from typing import BinaryIO

_TAIL = 64 * 1024
MISSING = "picture is missing"
UNREADABLE = "picture is unreadable"
_EMPTY = "picture is empty"
_ANOTHER_SIZE = "picture of another size"
_TRUNCATED = "picture is truncated"
UNLISTED = "its picture is not among the file's images"
REASONS = (MISSING, UNREADABLE, _EMPTY, _ANOTHER_SIZE, _TRUNCATED, UNLISTED)
"""Why persons cannot be seen, as a data set counts those that it leaves out."""
_END_OF_JPEG = b"\xff\xd9"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Problem:
    """Why a picture cannot be used: a short ``reason`` to count by, and the particulars."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def find_problem(file: BinaryIO, width: int | None = None, height: int | None = None) -> Problem | None:
    """What is wrong with the file of a picture of ``width`` by ``height`` pixels, or of any size; None if nothing
    is found.

    Reads a JPEG's header up to its pixels and looks for its end marker in the last 64 KiB, then in the rest; of a
    PNG, the first and last chunk. Decoders fill what a truncated file lacks with grey, so it has to be noticed
    here. Of other formats only emptiness is noticed.
    """
    start = file.read(24)
    if not start:
        return Problem(_EMPTY, "the file has 0 bytes")
    if start.startswith(b"\xff\xd8"):
        size, whole = _inspect_jpeg(file)
    elif start.startswith(_PNG) or _PNG.startswith(start):
        size, whole = _inspect_png(file, start)
    else:
        return None
    if size is not None and width is not None and size != (width, height):
        return Problem(
            _ANOTHER_SIZE,
            f"the annotations say {width}x{height}, the file holds {size[0]}x{size[1]} pixels as stored",
        )
    return None if whole else Problem(_TRUNCATED, "its end is missing; copy or download it again")


def jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """Width and height that a JPEG's header says; None where it is damaged before it says them."""
    return _inspect_jpeg(file)[0]


def _inspect_jpeg(file: BinaryIO) -> tuple[tuple[int, int] | None, bool]:
    # Segments are walked, not searched for: an embedded thumbnail has a size and an end marker too.
    size = None
    file.seek(2)
    while True:
        start = file.read(4)  # a lead, a marker, and nearly always its length
        while start[:2] == b"\xff\xff":
            start = start[1:] + file.read(1)
        if start[:1] != b"\xff" or len(start) < 2:
            return size, False
        code, length = start[1], int.from_bytes(start[2:], "big")
        if length < 2:
            return size, False
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            frame = file.read(length - 2)
            size = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
        else:
            file.seek(length - 2, os.SEEK_CUR)
        if code == 0xDA:
            pixels = file.tell()
            if _END_OF_JPEG in _tail(file):
                return size, True
            # A phone's moving picture goes on behind its end; between the pixels there is no such marker.
            file.seek(pixels)
            return size, _END_OF_JPEG in file.read()


def _inspect_png(file: BinaryIO, start: bytes) -> tuple[tuple[int, int] | None, bool]:
    size = (int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")) if len(start) == 24 else None
    return size, b"IEND\xaeB`\x82" in _tail(file)


def _tail(file: BinaryIO) -> bytes:
    """The end of the file, but nothing before the present position."""
    position = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(max(position, end - _TAIL))
    return file.read()
