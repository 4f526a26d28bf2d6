"""A picture's size is known before it is decoded, and one that is too large never is."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdkit.errors import DataError
from kdkit_pose.data import PictureFolder
from kdkit_pose.data.stored_size import stored_size
from kdkit_pose.prediction.reading import read_picture

WIDTH, HEIGHT = 37, 23
PICTURE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
KINDS: dict[str, dict[str, Any]] = {
    "a.jpg": {},
    "progressive.jpg": {"progressive": True},
    "a.png": {},
    "a.bmp": {},
    "a.gif": {},
    "lossy.webp": {},
    "lossless.webp": {"lossless": True},
    "with_exif.webp": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"},
    "a.tif": {},
    "packed.tif": {"compression": "tiff_lzw"},
    "big.tif": {"big_tiff": True},
    "a.ppm": {},
    "a.jp2": {},
    "a.avif": {},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_header_says_the_size(name: str, tmp_path: Path) -> None:
    try:
        Image.fromarray(PICTURE).save(tmp_path / name, **KINDS[name])
    except (KeyError, ValueError, OSError) as error:
        pytest.skip(f"this Pillow cannot write it: {error}")
    content = (tmp_path / name).read_bytes()
    assert stored_size(content) == (WIDTH, HEIGHT)
    # Cut anywhere, it is another size, or none, and no error.
    for end in range(0, min(len(content), 200)):
        stored_size(content[:end])


@pytest.mark.parametrize(
    "content", [b"P6 # a comment\n 37\n# more\n23 255\n", b"P7\nWIDTH 37\nHEIGHT 23\nDEPTH 3\n"]
)
def test_portable_maps_say_it_in_words(content: bytes) -> None:
    assert stored_size(content) == (37, 23)


def test_what_is_no_picture_says_nothing() -> None:
    assert stored_size(b"") is None
    assert stored_size(b"#?RADIANCE\n") is None


def bomb(side: int) -> bytes:
    """A small PNG of black pixels, many of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compressobj()
    pixels = b"".join(rows.compress(bytes(side // 8 + 1)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_and_the_limit_may_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(20_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"bomb.png: the picture has 400,000,000 pixels.*KDKIT_MAX_PICTURE_PIXELS"):
        read_picture(path)
    with pytest.raises(DataError, match="400,000,000 pixels"):
        PictureFolder(tmp_path)({"id": 1, "file_name": "bomb.png", "width": 20_000, "height": 20_000})
    path.write_bytes(bomb(200))
    monkeypatch.setenv("KDKIT_MAX_PICTURE_PIXELS", "39999")
    with pytest.raises(DataError, match="40,000 pixels"):
        read_picture(path)
    monkeypatch.setenv("KDKIT_MAX_PICTURE_PIXELS", "40000")
    assert read_picture(path).shape == (200, 200, 3)
