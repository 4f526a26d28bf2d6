"""Masks that a network predicted, in a file beside the data."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit.files import write_atomically
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.mask_source import MaskSource

FORMAT = "kdkit predicted masks 1"
"""What a file of predicted masks says it is."""


@dataclass(frozen=True)
class PredictedMasks:
    """The masks that a network predicted for the persons of one data set.

    Args:
        source: What predicted them.
        annotations: `content_digest` of the annotations they were predicted for.
        boxes: `content_digest` of the detector's boxes, or None where the boxes are the annotations' own.
        segmentations: By annotation id, or place in the detector's list, COCO's compressed RLE of the whole
            picture, ``{"size": [height, width], "counts": str}``. One that covers no pixel says that the
            predictor found nothing.
    """

    source: MaskSource
    annotations: str
    boxes: str | None
    segmentations: Mapping[int, Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.segmentations)

    def save(self, path: str | Path) -> None:
        """Write the file; it appears whole or not at all.

        It is JSON: a header that names predictor and data, and ``masks``, a list of ``{"id", "segmentation"}``
        with segmentations that any COCO tool reads.
        """
        content = {
            "format": FORMAT,
            "kdkit": version("kdkit"),
            "predictor": self.source.to_json(),
            "annotations_sha256": self.annotations,
            "boxes_sha256": self.boxes,
            "masks": [{"id": key, "segmentation": rle} for key, rle in sorted(self.segmentations.items())],
        }
        text = json.dumps(content, separators=(",", ":")) + "\n"
        write_atomically(Path(path), lambda file: file.write(text.encode()))

    @classmethod
    def load(cls, path: str | Path) -> "PredictedMasks":
        """Read what `save` wrote.

        Raises:
            DataError: The file cannot be read, is none of predicted masks, or is malformed.
        """
        content, _ = read_json(path)
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, Mapping) else type(content).__name__
            raise DataError(
                f"{path}: no file of predicted masks (expected the format {FORMAT!r}, found {found!r}); "
                "kdkit-pose predict-masks writes one"
            )
        try:
            return cls(
                source=MaskSource.from_json(content["predictor"]),
                annotations=str(content["annotations_sha256"]),
                boxes=None if content["boxes_sha256"] is None else str(content["boxes_sha256"]),
                segmentations=_segmentations(content["masks"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{path}: damaged file of predicted masks: {what}; predict the masks again") from error


def content_digest(source: str | Path | Mapping[str, Any] | Sequence[Any]) -> str:
    """The SHA-256 of a file's bytes, or of in-memory content written as JSON with sorted keys.

    Raises:
        DataError: The file cannot be read.
    """
    if not isinstance(source, str | Path):
        # What JSON lacks, such as the bytes of an RLE, is told apart by its text.
        return hashlib.sha256(json.dumps(source, sort_keys=True, default=repr).encode()).hexdigest()
    try:
        with Path(source).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror or error})") from error


def _segmentations(rows: Sequence[Any]) -> dict[int, Mapping[str, Any]]:
    masks: dict[int, Mapping[str, Any]] = {}
    for place, row in enumerate(rows):
        sound = isinstance(row, Mapping) and isinstance(row.get("id"), int)
        if not sound or not isinstance(row.get("segmentation"), Mapping):
            raise ValueError(f"mask number {place} has no integer id and RLE segmentation")
        if row["id"] in masks:
            raise ValueError(f"two masks have the id {row['id']}")
        masks[row["id"]] = row["segmentation"]
    return masks
