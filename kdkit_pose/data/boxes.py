"""Boxes that a person detector found, in COCO's result format."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdkit.errors import DataError
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.people import Person
from kdkit_pose.data.pictures import Pictures
from kdkit_pose.data.skipped import Skipped

PERSON_CATEGORY = 1
"""COCO's category id of persons."""


def parse_boxes(
    boxes: str | Path | Sequence[Mapping[str, Any]], pictures: Pictures, report: Skipped
) -> list[Person]:
    """The persons that a detector found, without keypoints; a person's id is the place in the list.

    Each detection has ``image_id``, ``category_id`` 1, ``bbox`` (left, top, width, height in pixels of the
    picture) and ``score``. As in the reference, boxes are not clipped to the picture.

    Raises:
        DataError: The file or a detection is malformed; the place is named.
    """
    source = str(boxes) if isinstance(boxes, str | Path) else "boxes"
    rows = read_json(boxes)[0] if isinstance(boxes, str | Path) else boxes
    if not isinstance(rows, Sequence):
        raise DataError(
            f"{source}: expected a list of detections in COCO's result format, found a {type(rows).__name__}"
        )
    persons = []
    for place, row in enumerate(rows):
        box, score = _check(row, f"{source}: detection number {place}")
        name = f"detection {place}"
        if row["category_id"] != PERSON_CATEGORY:
            report.left_out.add("detection of another category", name)
        elif box[2] <= 0 or box[3] <= 0:
            report.left_out.add("empty box", name)
        elif pictures.usable(row["image_id"], name, report) is not None:
            none = np.zeros((0, 2))
            persons.append(Person(place, row["image_id"], box, none, np.zeros(0, dtype=np.bool_), box_score=score))
    found = {person.image_id for person in persons}
    for image_id in pictures.entries:
        if image_id not in found:
            report.noted.add("picture without a usable box", f"picture {image_id}")
    return persons


def _check(row: Any, name: str) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    keys = ("image_id", "category_id", "bbox", "score")
    missing = [key for key in keys if key not in row] if isinstance(row, Mapping) else list(keys)
    if missing:
        raise DataError(f"{name}: lacks {missing}; expected COCO's result format")
    try:
        box, score = np.asarray(row["bbox"], dtype=np.float64), float(row["score"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: bbox and score must be numbers ({error})") from error
    if box.shape != (4,) or not np.isfinite([*box, score]).all():
        raise DataError(f"{name}: expected a bbox of 4 finite numbers and a finite score, found {row}")
    return box, score
