import struct

import numpy as np
import pytest
from PIL import Image

from kdkit import DataError
from kdkit_pose.prediction import find_pictures, read_picture
from kdkit_pose.prediction.reading import open_picture


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG file with an EXIF segment that says how it is to be turned."""
    entry = struct.pack(">HHI", 0x0112, 3, 1) + struct.pack(">HH", orientation, 0)
    tiff = b"MM\x00*" + struct.pack(">I", 8) + struct.pack(">H", 1) + entry + struct.pack(">I", 0)
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif", ".jpg"])
def test_any_usual_format_is_read(tmp_path, write_picture, picture, suffix):
    found = read_picture(write_picture(tmp_path / f"a{suffix}", picture))
    assert found.shape == picture.shape
    assert found.dtype == np.uint8
    if suffix in (".png", ".bmp", ".tif"):
        assert np.array_equal(found, picture)
    else:
        assert np.abs(found.astype(int) - picture).mean() < 6


def test_grey_transparent_deep_and_tiny_pictures_come_out_as_rgb(tmp_path, write_picture, picture):
    grey = picture[:, :, 0]
    assert np.array_equal(read_picture(write_picture(tmp_path / "g.png", grey)), np.dstack([grey] * 3))
    alpha = np.dstack([picture, grey])
    assert np.array_equal(read_picture(write_picture(tmp_path / "t.png", alpha)), picture)
    deep = picture.astype(np.uint16) * 257
    assert np.array_equal(read_picture(write_picture(tmp_path / "d.png", deep)), picture)
    one = picture[:1, :1]
    assert np.array_equal(read_picture(write_picture(tmp_path / "1.png", one)), one)


def test_exif_turns_a_picture_unless_it_is_wanted_as_stored(tmp_path, write_picture, picture):
    path = write_picture(tmp_path / "a.jpg", picture)
    plain = read_picture(path)
    path.write_bytes(with_orientation(path.read_bytes(), 6))
    assert np.array_equal(read_picture(path, upright=False), plain)
    assert np.array_equal(read_picture(path), np.rot90(plain, -1))


def test_a_turned_tiff_is_turned_or_refused(tmp_path, write_picture, picture):
    path = tmp_path / "a.tif"
    for orientation, turns in ((1, 0), (3, 2), (6, -1)):
        Image.fromarray(picture).save(path, tiffinfo={274: orientation})
        upright, turned = open_picture(path, upright=True)
        assert np.array_equal(upright, np.rot90(picture, turns))
        assert turned == (orientation != 1)
        if turned:
            with pytest.raises(DataError, match=f"a TIFF with orientation {orientation}.*store it upright"):
                read_picture(path, upright=False)
        else:
            assert np.array_equal(read_picture(path, upright=False), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_files_that_are_no_whole_picture_are_named(tmp_path, write_picture, picture, suffix, capfd):
    path = write_picture(tmp_path / f"a{suffix}", picture)
    whole = path.read_bytes()
    for content, problem in (
        (b"", "is empty"),
        (b"no picture", "cannot be decoded"),
        (whole[: len(whole) // 2], "is truncated"),
        (whole[:-20], "is truncated"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{path.name}: .*{problem}"):
            read_picture(path)
    # No decoder's own words between the lines.
    assert capfd.readouterr().err == ""
    with pytest.raises(DataError, match=r"none\.jpg"):
        read_picture(tmp_path / "none.jpg")


def test_folders_are_searched_below_and_files_are_taken_as_they_are(tmp_path, write_picture, picture):
    for name in ("b/2.JPG", "b/1.png", "b/deep/3.jpg", "b/.hidden/4.jpg", "b/.5.jpg", "b/out/6.jpg", "a.data.png"):
        write_picture(tmp_path / name, picture)
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    (tmp_path / "a.data.png").rename(tmp_path / "a.data")
    found = find_pictures(
        [tmp_path / "a.data", tmp_path / "b", tmp_path / "b" / "1.png"], [tmp_path / "b" / "out"]
    )
    assert [file.name for file in found] == ["a.data", "b/1.png", "b/2.JPG", "b/deep/3.jpg"]
    assert [file.path for file in find_pictures([tmp_path / "b" / "deep"])] == [tmp_path / "b" / "deep" / "3.jpg"]
    assert find_pictures([tmp_path / "b" / "deep"])[0].name == "3.jpg"


def test_places_without_a_picture_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no picture in this folder"):
        find_pictures([tmp_path / "empty"])
    with pytest.raises(DataError, match="nothing: there is no such picture or folder"):
        find_pictures([tmp_path / "nothing"])


def test_names_differ_where_files_are_called_alike(tmp_path, write_picture, picture):
    paths = [write_picture(tmp_path / place / "1.jpg", picture) for place in ("x/a", "y/a", "x")]
    names = [file.name for file in find_pictures(paths)]
    assert names == ["x/a/1.jpg", "y/a/1.jpg", "x/1.jpg"]
