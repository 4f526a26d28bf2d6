"""The pictures that an annotation file lists, and which of them can be used."""

from collections.abc import Iterable, Mapping
from typing import Any

from kdkit.errors import DataError
from kdkit.limits import Limits
from kdkit_pose.data.images import PictureFolder, PictureSource
from kdkit_pose.data.integrity import UNLISTED, Problem
from kdkit_pose.data.numerals import is_id
from kdkit_pose.data.skipped import Skipped

Entry = Mapping[str, Any]


class Pictures:
    """The ``images`` of a COCO file, each looked at once, when a person or box first asks for it.

    Args:
        content: The COCO file's content.
        source: Its name, for messages.
        images: Where the pictures come from.
        verify: Whether to look at the files; only those of a folder can be.

    Raises:
        DataError: An entry is malformed or of more pixels than the `kdkit.Limits`, its file name leads out of the
            folder, or the folder has none of them.
    """

    def __init__(self, content: Mapping[str, Any], source: str, images: PictureSource, *, verify: bool) -> None:
        self.entries: dict[int, Entry] = {}
        self._images, self._verify = images, verify
        self._problems: dict[int, Problem | None] = {}
        limits = Limits.current()
        for position, entry in enumerate(content["images"]):
            try:
                _check(entry, limits)
                if isinstance(images, PictureFolder):
                    images.path(entry)
                if entry["id"] in self.entries:
                    raise DataError(f"another entry has the same id {entry['id']}")
            except DataError as error:
                raise DataError(f"{source}: image entry number {position}: {error}") from error
            self.entries[entry["id"]] = entry
        if verify and isinstance(images, PictureFolder):
            images.check(tuple(self.entries.values()))

    def usable(self, image_id: int, name: str, report: Skipped) -> Entry | None:
        """The entry of a picture; None, noted in ``report`` under ``name``, if it cannot be used."""
        entry = self.entries.get(image_id)
        if entry is None:
            report.left_out.add(UNLISTED, f"{name} of picture {image_id}")
            return None
        if image_id not in self._problems:
            self._problems[image_id] = self._look(entry)
        problem = self._problems[image_id]
        if problem is not None:
            report.left_out.add(problem.reason, f"{entry.get('file_name', image_id)}: {problem.detail}")
            return None
        return entry

    def entries_of(self, image_ids: Iterable[int]) -> dict[int, Entry]:
        """The entries of these pictures; for a folder only what reading needs, to be light to send."""
        chosen = {image_id: self.entries[image_id] for image_id in image_ids}
        if not isinstance(self._images, PictureFolder):
            return chosen
        keys = ("id", "file_name", "width", "height")
        return {image_id: {key: entry[key] for key in keys} for image_id, entry in chosen.items()}

    @property
    def unusable(self) -> set[int]:
        """The ids of the pictures asked for so far that cannot be used."""
        return {image_id for image_id, problem in self._problems.items() if problem is not None}

    def _look(self, entry: Entry) -> Problem | None:
        if self._verify and isinstance(self._images, PictureFolder):
            return self._images.problem(entry)
        return None


def _check(entry: Any, limits: Limits) -> None:
    if not isinstance(entry, Mapping):
        raise DataError(f"expected an object, found {type(entry).__name__}")
    for key in ("id", "width", "height"):
        value = entry.get(key)
        if not is_id(value) or (key != "id" and value < 1):
            raise DataError(
                f"its {key} must be an integer{' of 64 bits' if key == 'id' else ' above 0'}, found "
                f"{str(value)[:60]!r}"
            )
    pixels = entry["width"] * entry["height"]
    if (excess := limits.excess("picture_pixels", pixels, "pixels")) is not None:
        raise DataError(f"its width and height make {excess}")
