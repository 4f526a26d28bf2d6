"""Picture files: kinds that work, and damage that is noticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdkit.errors import DataError
from kdkit_pose.data import PictureFolder, denormalize, normalize
from kdkit_pose.data.images import read_picture

WIDTH, HEIGHT = 64, 48


def entry(name: str, **changes: Any) -> dict[str, Any]:
    return {"id": 1, "file_name": name, "width": WIDTH, "height": HEIGHT} | changes


@pytest.fixture
def gradient() -> Image.Image:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([x * 3, y * 5, 255 - x * 2], axis=2).astype(np.uint8))


def test_png_is_read_exactly(gradient: Image.Image, tmp_path: Path) -> None:
    gradient.save(tmp_path / "a.png")
    np.testing.assert_array_equal(PictureFolder(tmp_path)(entry("a.png")), np.asarray(gradient))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_jpeg_of_any_colour_space_is_rgb(mode: str, options: Any, gradient: Image.Image, tmp_path: Path) -> None:
    gradient.convert(mode).save(tmp_path / "a.jpg", quality=95, **options)
    folder = PictureFolder(tmp_path)
    assert folder.problem(entry("a.jpg")) is None
    difference = folder(entry("a.jpg")).astype(int) - np.asarray(gradient)
    assert np.abs(difference).mean() < 3


def test_greyscale_jpeg_has_three_equal_channels(gradient: Image.Image, tmp_path: Path) -> None:
    gradient.convert("L").save(tmp_path / "a.jpg", quality=95)
    picture = PictureFolder(tmp_path)(entry("a.jpg"))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture == picture[..., :1]).all()
    assert np.abs(picture[..., 0].astype(int) - np.asarray(gradient.convert("L"))).mean() < 3


def test_orientation_in_the_header_is_ignored(gradient: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient.save(tmp_path / "a.jpg", quality=95, exif=exif)
    assert PictureFolder(tmp_path).problem(entry("a.jpg")) is None
    assert PictureFolder(tmp_path)(entry("a.jpg")).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_truncated_files_are_noticed(kind: str, share: float, gradient: Image.Image, tmp_path: Path) -> None:
    gradient.save(tmp_path / f"whole.{kind}")
    content = (tmp_path / f"whole.{kind}").read_bytes()
    (tmp_path / f"cut.{kind}").write_bytes(content[: int(len(content) * share)])
    folder = PictureFolder(tmp_path)
    problem = folder.problem(entry(f"cut.{kind}"))
    assert problem is not None
    assert problem.reason == "picture is truncated"
    with pytest.raises(DataError, match=f"cut.{kind}: picture is truncated"):
        folder(entry(f"cut.{kind}"))


def test_end_of_an_embedded_thumbnail_is_not_the_pictures(gradient: Image.Image, tmp_path: Path) -> None:
    gradient.save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xe1" + (2 + len(content)).to_bytes(2, "big") + content
    (tmp_path / "whole.jpg").write_bytes(content[:2] + segment + content[2:])
    (tmp_path / "cut.jpg").write_bytes(content[:2] + segment + content[2:-20])
    assert PictureFolder(tmp_path).problem(entry("whole.jpg")) is None
    problem = PictureFolder(tmp_path).problem(entry("cut.jpg"))
    assert problem is not None
    assert problem.reason == "picture is truncated"


@pytest.mark.parametrize("count", [1000, 200_000])
def test_bytes_after_the_end_do_no_harm(count: int, gradient: Image.Image, tmp_path: Path) -> None:
    gradient.save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(bytes(count))  # as the video of a phone's moving picture
    assert PictureFolder(tmp_path).problem(entry("a.jpg")) is None
    assert PictureFolder(tmp_path)(entry("a.jpg")).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp"])
def test_another_size_than_declared_is_an_error(kind: str, gradient: Image.Image, tmp_path: Path) -> None:
    gradient.save(tmp_path / f"a.{kind}")
    folder = PictureFolder(tmp_path)
    wrong = entry(f"a.{kind}", width=HEIGHT, height=WIDTH)
    with pytest.raises(DataError, match=rf"a\.{kind}"):
        read_picture(folder, wrong)
    if kind != "bmp":
        assert str(folder.problem(wrong)).startswith("picture of another size: the annotations say 48x64")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "picture is empty"), (b"hello, no picture", "cannot be decoded")]
)
def test_what_is_no_picture_is_an_error(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.jpg: {reason}"):
        PictureFolder(tmp_path)(entry("a.jpg"))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    problem = PictureFolder(tmp_path).problem(entry("a.jpg"))
    assert problem is not None
    assert problem.reason == "picture is missing"
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read"):
        PictureFolder(tmp_path)(entry("a.jpg"))


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "/etc/a.jpg",
        "b/../../a.jpg",
        "..\\a.jpg",
        "C:\\a.jpg",
        "C:a.jpg",
        "//a",
        "a/..",
        "",
        None,
        7,
        "a\0",
    ],
)
def test_names_that_lead_out_of_the_folder_are_errors(name: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file_name"):
        PictureFolder(tmp_path).path(entry(name))


@pytest.mark.parametrize("name", ["a.jpg", "sub/a.jpg", "sub/0-1_a", "..a.jpg", "a b.jpg"])
def test_names_inside_of_the_folder_are_not(name: str, tmp_path: Path) -> None:
    assert PictureFolder(tmp_path).path(entry(name)) == tmp_path / name


@pytest.mark.parametrize(
    "wrong", [np.zeros((48, 64, 3)), np.zeros((48, 64), np.uint8), np.zeros((64, 48, 3), np.uint8), None]
)
def test_a_function_that_gives_no_such_picture_is_an_error(wrong: Any) -> None:
    with pytest.raises(DataError, match=r"a\.jpg \(picture 1\): expected uint8 \[48, 64, 3\]"):
        read_picture(lambda entry: wrong, entry("a.jpg"))


def test_normalize_is_its_formula_and_has_an_inverse() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(normalize(picture), expected.transpose(2, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(denormalize(normalize(picture)), picture)


def test_a_folder_with_some_of_the_pictures_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").touch()
    PictureFolder(tmp_path).check([entry("a.jpg"), entry("b.jpg")])
    PictureFolder(tmp_path).check([])


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere' does not exist"):
        PictureFolder(tmp_path / "nowhere").check([entry("a.jpg")])
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DataError, match=r"a\.jpg' is a file"):
        PictureFolder(tmp_path / "a.jpg").check([entry("a.jpg")])


@pytest.mark.parametrize(
    ("given", "name", "place"),
    [
        ("images", "a.jpg", "images/train"),  # within
        (".", "a.jpg", "images/train"),  # two folders within
        ("images/train", "train/a.jpg", "images"),  # the name begins with the folder's own
        (".", "train/a.jpg", "images"),
    ],
)
def test_a_folder_without_any_says_which_one_is_meant(given: str, name: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "a.jpg").touch()
    words = rf"2 of the 2 pictures are missing from .* '{name}': '{tmp_path / place}' holds it"
    with pytest.raises(DataError, match=words):
        PictureFolder(tmp_path / given).check([entry(name), entry("other.jpg")])


def test_a_folder_without_any_anywhere(tmp_path: Path) -> None:
    (tmp_path / "1" / "2" / "3").mkdir(parents=True)
    (tmp_path / "1" / "2" / "3" / "a.jpg").touch()  # too deep to be looked for
    with pytest.raises(
        DataError, match=r"1 of the 1 pictures .* 'a\.jpg', which is in no folder within it either"
    ):
        PictureFolder(tmp_path).check([entry("a.jpg")])
