"""Pictures of a user's own: files and folders."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import abspath, commonpath
from pathlib import Path

import numpy as np

from kdkit.errors import DataError
from kdkit_pose.data.images import decode_picture
from kdkit_pose.data.integrity import find_problem
from kdkit_pose.data.stored_size import tiff_orientation
from kdkit_pose.prediction.checks import Picture

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".ppm", ".pgm")
"""What a file in a folder must end with to be taken for a picture; one given by name is always tried."""

# The names under which the formats keep EXIF; without one of them there is nothing to turn.
_EXIF = (b"Exif", b"eXIf", b"EXIF")


@dataclass(frozen=True)
class PictureFile:
    """A picture to look at.

    Attributes:
        path: Where it is.
        name: Its path from the folder that all pictures of the run have in common, with ``/``: unlike any other's.
    """

    path: Path
    name: str


def find_pictures(places: Sequence[str | Path], leave_out: Sequence[Path] = ()) -> list[PictureFile]:
    """The pictures that files and folders name: folders with all below them, each picture once.

    Args:
        places: In the order given; within a folder by name. What begins with a dot is left out there.
        leave_out: Folders that are not looked into, such as those that predictions are drawn to.

    Raises:
        DataError: A place is missing, or a folder holds no picture.
    """
    found: dict[Path, Path] = {}
    for place in map(Path, places):
        if place.is_dir():
            inside = [path for path in sorted(place.rglob("*")) if _is_picture(path, place, leave_out)]
            if not inside:
                raise DataError(
                    f"{place}: no picture in this folder; expected files like {', '.join(SUFFIXES[:5])}"
                )
        elif place.is_file():
            inside = [place]
        else:
            raise DataError(f"{place}: there is no such picture or folder; check the path")
        for path in inside:
            found.setdefault(path.resolve(), path)
    return [PictureFile(path, name) for path, name in zip(found.values(), _names(found.values()), strict=True)]


def read_picture(path: str | Path, *, upright: bool = True) -> Picture:
    """The picture in a file, RGB uint8 [H, W, 3]: any format that OpenCV reads.

    Greyscale comes out as RGB, 16 bits a channel as 8, transparency is dropped.

    Args:
        path: The file.
        upright: Whether to turn the picture as its EXIF orientation says, as every viewer does. Without it the
            pixels are as they are stored, which is what COCO's coordinates, and so training and evaluation, are
            measured in.

    Raises:
        DataError: The file cannot be read, is truncated, damaged or no picture.
    """
    return open_picture(path, upright=upright)[0]


def open_picture(path: str | Path, *, upright: bool) -> tuple[Picture, bool]:
    """As :func:`read_picture`, and whether the picture had to be turned."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    problem = find_problem(io.BytesIO(content))
    if problem is not None:
        raise DataError(f"{path}: {problem}")
    if upright and tiff_orientation(content) not in (0, 1):
        return decode_picture(content, path, upright=True), True
    stored = decode_picture(content, path)
    if not upright or not any(name in content for name in _EXIF):
        return stored, False
    picture = decode_picture(content, path, upright=True)
    return picture, not np.array_equal(stored, picture)


def _is_picture(path: Path, root: Path, leave_out: Sequence[Path]) -> bool:
    if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in path.relative_to(root).parts):
        return False
    if any(path.resolve().is_relative_to(folder.resolve()) for folder in leave_out):
        return False
    return path.is_file()


def _names(paths: Iterable[Path]) -> list[str]:
    whole = [Path(abspath(path)) for path in paths]
    common = commonpath([path.parent for path in whole])
    return [path.relative_to(common).as_posix() for path in whole]
