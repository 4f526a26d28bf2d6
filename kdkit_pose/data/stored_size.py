"""How many pixels a picture says that it has, told from its header before anything is decoded."""

import io
import re
from collections.abc import Callable
from typing import Literal

from kdkit_pose.data.integrity import jpeg_size

Size = tuple[int, int]

_LATER = 4096  # bytes within which a header's numbers lie
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,18})(?:\s|#[^\n]*\n)+(\d{1,18})")
_PAM = re.compile(rb"P7\s(?s:.)*?WIDTH\s+(\d{1,18})\s(?s:.)*?HEIGHT\s+(\d{1,18})")
# The extents of the whole and of its tiles; a thumbnail's are smaller.
_AVIF = re.compile(rb"ispe\0\0\0\0(?s:(.{4})(.{4}))")


def stored_size(content: bytes) -> Size | None:
    """Width and height of a picture file: JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF, JPEG 2000 and PNM's kinds.

    None of any other: OpenCV then has its own limit, 2^30 pixels.
    """
    for magic, read in _FORMATS:
        if magic.match(content):
            return read(content)
    return None


def _jpeg(content: bytes) -> Size | None:
    return jpeg_size(io.BytesIO(content))


def _bmp(content: bytes) -> Size | None:
    if content[14:18] == b"\x0c\0\0\0":
        return _little(content[18:20]), _little(content[20:22])
    height = int.from_bytes(content[22:26], "little", signed=True)
    return _little(content[18:22]), abs(height)  # below 0 where the uppermost row comes first


def _webp(content: bytes) -> Size | None:
    kind = content[12:16]
    if kind == b"VP8X":
        return 1 + _little(content[24:27]), 1 + _little(content[27:30])
    if kind == b"VP8L":
        bits = _little(content[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return _little(content[26:28]) & 0x3FFF, _little(content[28:30]) & 0x3FFF


def _tiff(content: bytes) -> Size | None:
    found = _tiff_numbers(content, (256, 257))
    return (found[256], found[257]) if len(found) == 2 else None


def tiff_orientation(content: bytes) -> int:
    """How a TIFF's pixels are to be turned, 1 to 8; 1, which is not at all, of any other file."""
    is_tiff = content[:4] in (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")
    return _tiff_numbers(content, (274,)).get(274, 1) if is_tiff else 1


def _tiff_numbers(content: bytes, tags: tuple[int, ...]) -> dict[int, int]:
    order: Literal["little", "big"] = "little" if content[:2] == b"II" else "big"
    big = content[2:4] in (b"\x2b\0", b"\0\x2b")
    # How wide are: an offset, the number of entries, an entry and, in it, where its value begins.
    offset, count, step, value = (8, 8, 20, 12) if big else (4, 2, 12, 8)
    start = int.from_bytes(content[8:16] if big else content[4:8], order)
    entries = min(int.from_bytes(content[start : start + count], order), _LATER)
    found = {}
    for place in range(start + count, start + count + entries * step, step):
        tag, kind = (int.from_bytes(content[p : p + 2], order) for p in (place, place + 2))
        width = {3: 2, 4: 4, 16: 8}.get(kind, offset)
        if tag in tags:
            found[tag] = int.from_bytes(content[place + value : place + value + width], order)
    return found


def _avif(content: bytes) -> Size | None:
    sizes = [(_big(wide), _big(high)) for wide, high in _AVIF.findall(content)]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _jpeg_2000(content: bytes) -> Size | None:
    at = content.find(b"\xff\x4f\xff\x51")  # the code stream's own header, also within a file of boxes
    if at < 0:
        return None
    right, bottom, left, top = (_big(content[at + place : at + place + 4]) for place in (8, 12, 16, 20))
    return max(right - left, 0), max(bottom - top, 0)


def _pnm(content: bytes) -> Size | None:
    found = (_PAM if content.startswith(b"P7") else _PNM).match(content[:_LATER])
    return (int(found[1]), int(found[2])) if found else None


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")


def _big(number: bytes) -> int:
    return int.from_bytes(number, "big")


_FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Size | None]], ...] = tuple(
    (re.compile(magic, re.DOTALL), read)
    for magic, read in (
        (rb"\xff\xd8", _jpeg),
        (rb"\x89PNG\r\n\x1a\n", lambda content: (_big(content[16:20]), _big(content[20:24]))),
        (rb"BM", _bmp),
        (rb"GIF8", lambda content: (_little(content[6:8]), _little(content[8:10]))),
        (rb"RIFF.{4}WEBP", _webp),
        (rb"II[*+]\0|MM\0[*+]", _tiff),
        (rb".{4}ftypavi[fs]", _avif),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", _jpeg_2000),
        (rb"P[1-7]", _pnm),
    )
)
