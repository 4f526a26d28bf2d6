"""Pictures: where they come from, and what is checked about them."""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError
from kdkit.limits import Limits
from kdkit_pose.data.integrity import MISSING, UNREADABLE, Problem, find_problem
from kdkit_pose.data.stored_size import stored_size, tiff_orientation

# Most names; to take one apart as a path takes a hundred times as long.
_PLAIN = re.compile(r"\w[\w-]*(/\w[\w-]*)*(\.\w+)?")

Picture = npt.NDArray[np.uint8]
PictureSource = Callable[[Mapping[str, Any]], Picture]
"""From an entry of a COCO file's ``images`` to its picture, RGB uint8 [H, W, 3]."""


@dataclass(frozen=True)
class PictureFolder:
    """Reads pictures by the ``file_name`` of their entry, from below the folder ``root``.

    Any format OpenCV reads; greyscale and CMYK come out as RGB. The EXIF orientation is ignored, since COCO's
    coordinates are those of the stored pixels.
    """

    root: Path

    def path(self, entry: Mapping[str, Any]) -> Path:
        """Where the picture of ``entry`` is.

        Raises:
            DataError: The name is missing, or leads out of the folder.
        """
        name = entry.get("file_name")
        if not isinstance(name, str) or not name or "\0" in name:
            raise DataError(f"picture {entry.get('id')}: expected a 'file_name', found {str(name)[:60]!r}")
        plain = _PLAIN.fullmatch(name)
        if not plain and not _is_text(name):
            raise DataError(f"picture {entry.get('id')}: its file_name {name!r} is no Unicode text")
        if not plain and _leads_out(name):
            raise DataError(
                f"picture {entry.get('id')}: its file_name {name!r} leads out of the images folder "
                f"{self.root}; expected a path inside of it"
            )
        return self.root / name

    def problem(self, entry: Mapping[str, Any]) -> Problem | None:
        """A cheap look at the file: is it there, of the declared size, and whole."""
        path = self.path(entry)
        try:
            with path.open("rb") as file:
                found = find_problem(file, entry["width"], entry["height"])
        except FileNotFoundError:
            return Problem(MISSING, "there is no such file")
        except OSError as error:
            return Problem(UNREADABLE, error.strerror or str(error))
        return found

    def check(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Raise if the folder has none of these pictures: it is hardly the one that is meant.

        Raises:
            DataError: There is no such folder, or no picture in it; it says whether another one has them.
        """
        if not self.root.is_dir():
            what = "is a file" if self.root.exists() else "does not exist"
            raise DataError(f"the images folder '{self.root}' {what}: give the folder of the pictures")
        # The right folder has mostly the first one already.
        if not entries or any(_exists(self.path(entry)) for entry in entries):
            return
        first = entries[0]["file_name"]
        raise DataError(
            f"{len(entries)} of the {len(entries)} pictures are missing from the images folder '{self.root}', the "
            f"first of them '{first}'{self._where(first)}"
        )

    def _where(self, name: str) -> str:
        """Where a picture is that is not in the folder, as the end of a sentence."""
        # A file's name may begin with the folder's own, or lack that of a folder within.
        near = (self.root.absolute().parent / name, *_within(self.root, name, levels=2))
        found = next((path for path in near if _exists(path)), None)
        if found is None:
            return ", which is in no folder within it either: give the folder of the pictures"
        return f": '{Path(*found.parts[: -len(Path(name).parts)])}' holds it, give that folder"

    def __call__(self, entry: Mapping[str, Any]) -> Picture:
        """The picture, RGB uint8 [H, W, 3].

        Raises:
            DataError: The file is missing, truncated, of another size than declared, or no picture.
        """
        path = self.path(entry)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        found = find_problem(io.BytesIO(content), entry["width"], entry["height"])
        if found is not None:
            raise DataError(f"{path}: {found}")
        return decode_picture(content, path)


def _is_text(name: str) -> bool:
    """Whether a name can be written in UTF-8: JSON may hold halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _exists(path: Path) -> bool:
    """Whether there is such a file; a name that is too long for one is none's."""
    try:
        return path.exists()
    except OSError:
        return False


def _leads_out(name: str) -> bool:
    """Whether a name might be of a file outside of its folder, on any system."""
    # Read as a Windows path, "/" and "\\" both separate, and a drive counts: no system is led astray.
    parsed = PureWindowsPath(name)
    return bool(parsed.anchor) or ".." in parsed.parts


def _within(folder: Path, name: str, levels: int) -> Iterator[Path]:
    """Paths that end in ``name`` in the folders of a folder, and in theirs down to some levels."""
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield inner / name
        if levels > 1:
            yield from _within(inner, name, levels - 1)


def read_picture(source: PictureSource, entry: Mapping[str, Any]) -> Picture:
    """The picture of ``entry``, checked to be RGB uint8 of the declared size.

    Raises:
        DataError: It is not.
    """
    picture = source(entry)
    expected = (entry["height"], entry["width"], 3)
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape != expected:
        found = f"{getattr(picture, 'dtype', type(picture))} {list(getattr(picture, 'shape', ()))}"
        name = f"{entry.get('file_name', '')} (picture {entry['id']})".strip()
        raise DataError(f"{name}: expected uint8 {list(expected)}, height and width as declared; found {found}")
    return picture


def decode_picture(content: bytes, path: Path, *, upright: bool = False) -> Picture:
    """The picture RGB uint8 [H, W, 3] that the bytes of ``path`` hold: as stored, or as EXIF turns it ``upright``.

    Raises:
        DataError: The bytes are no picture, a damaged one, or one of more pixels than the `kdkit.Limits`.
    """
    size = stored_size(content)
    if size is not None and (excess := Limits.current().excess("picture_pixels", size[0] * size[1], "pixels")):
        raise DataError(f"{path}: the picture has {excess}")
    if not upright and (turned := tiff_orientation(content)) not in (0, 1):
        raise DataError(
            f"{path}: a TIFF with orientation {turned}, which OpenCV turns whatever is asked: store it upright"
        )
    flags = cv2.IMREAD_COLOR_RGB | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        # From memory, since imread fills what a damaged file lacks with grey where imdecode refuses it.
        picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error as error:
        raise DataError(f"{path}: cannot be decoded ({error})") from error
    if picture is None:
        raise DataError(f"{path}: cannot be decoded; it is damaged or no picture")
    return np.asarray(picture, dtype=np.uint8)
