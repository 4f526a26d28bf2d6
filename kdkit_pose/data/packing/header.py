"""What a folder of packed persons says of itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.mask_source import MasksUsed
from kdkit_pose.data.skipped import Skipped, Tally
from kdkit_pose.skeleton import Skeleton

FORMAT = "kdkit packed persons 1"
"""What the header says the folder is."""


@dataclass(frozen=True)
class Header:
    """How persons were packed, and what of.

    Attributes:
        source: `CocoKeypoints.source_fingerprint` of the data set.
        annotations: `content_digest` of its annotations.
        boxes: `content_digest` of the detector's boxes; None where the boxes are the annotations' own.
        box_threshold: The least score of a detector's box.
        unlabelled: What became of persons without a labelled keypoint.
        input_size: Width and height of the input that the crops are fine enough for.
        oversample: How many kept pixels an input pixel spans at most, where nothing is zoomed.
        augment: The widest variation that the crops have room for.
        skeleton: Which keypoints the persons have.
        has_targets: Whether samples have keypoints.
        has_masks: Whether samples have a mask.
        masks_predicted: Which predictor's masks were taken, and for how many persons.
        image_ids: The pictures to be scored.
        skipped: What was left out, and why.
        persons: The number of samples.
        persons_sha256: Of the file of their geometry.
        shards: The size of each shard in bytes.
    """

    source: str
    annotations: str
    boxes: str | None
    box_threshold: float
    unlabelled: str
    input_size: tuple[int, int]
    oversample: float
    augment: Augment | None
    skeleton: Skeleton
    has_targets: bool
    has_masks: bool
    masks_predicted: MasksUsed | None
    image_ids: tuple[int, ...]
    skipped: Skipped
    persons: int
    persons_sha256: str
    shards: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The attributes in plain JSON types, and the format."""
        return {
            "format": FORMAT,
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "input_size": list(self.input_size),
            "augment": None if self.augment is None else asdict(self.augment),
            "skeleton": json.loads(self.skeleton.to_metadata()["skeleton"]),
            "masks_predicted": None if self.masks_predicted is None else self.masks_predicted.to_json(),
            "image_ids": list(self.image_ids),
            "skipped": asdict(self.skipped),
            "shards": list(self.shards),
        }

    def differences(self, other: "Header") -> list[str]:
        """The items in which two headers differ, with both values where they are short."""
        mine, theirs = self.to_json(), other.to_json()
        return [_told(key, mine[key], theirs[key]) for key in mine if mine[key] != theirs[key]]

    @classmethod
    def read(cls, path: Path) -> "Header":
        """Read what :meth:`to_json` gave from a file.

        Raises:
            DataError: It cannot be read, is of another format, or malformed.
        """
        content, _ = read_json(path)
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, Mapping) else type(content).__name__
            raise DataError(
                f"{path}: no packed persons (expected the format {FORMAT!r}, found {found!r}); kdkit-pose pack "
                "makes them"
            )
        try:
            return cls(**{field.name: _READ[field.name](content[field.name]) for field in fields(cls)})
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{path}: damaged header of packed persons: {what}; pack them again") from error


def _told(key: str, mine: object, theirs: object) -> str:
    both = f"{mine} and {theirs}"
    return f"{key}: {both}" if len(both) < 200 else key


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {str(value)[:60]}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, found {str(value)[:60]}")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"expected a number of 0 or more, found {str(value)[:60]}")
    return value


def _size(value: Any) -> tuple[int, int]:
    width, height = value
    return _count(width), _count(height)


def _ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(isinstance(number, int) for number in value):
        raise TypeError("expected a list of ids")
    return tuple(value)


def _skipped(value: Any) -> Skipped:
    return Skipped(**{name: Tally(**tally) for name, tally in value.items()})


_READ: dict[str, Any] = {
    "source": _text,
    "annotations": _text,
    "boxes": lambda value: None if value is None else _text(value),
    "box_threshold": float,
    "unlabelled": _text,
    "input_size": _size,
    "oversample": float,
    "augment": lambda value: None if value is None else Augment(**value),
    "skeleton": lambda value: Skeleton.from_metadata({"skeleton": json.dumps(value)}),
    "has_targets": _flag,
    "has_masks": _flag,
    "masks_predicted": lambda value: None if value is None else MasksUsed.from_json(value),
    "image_ids": _ids,
    "skipped": _skipped,
    "persons": _count,
    "persons_sha256": _text,
    "shards": lambda value: tuple(_count(size) for size in value),
}
