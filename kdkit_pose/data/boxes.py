"""Boxes that a person detector found, in COCO's result format."""

from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from kdkit.errors import DataError
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.categories import PERSON_CATEGORY
from kdkit_pose.data.numerals import is_id, parse_numbers, parse_pixels
from kdkit_pose.data.people import Person
from kdkit_pose.data.pictures import Pictures
from kdkit_pose.data.skipped import Skipped


def parse_boxes(
    boxes: str | Path | Sequence[Mapping[str, Any]],
    pictures: Pictures,
    report: Skipped,
    *,
    categories: Mapping[int, str] | None = None,
    threshold: float = 0.0,
) -> list[Person]:
    """The persons that a detector found, without keypoints; a person's id is the place in the list.

    Each detection has ``image_id``, ``category_id``, ``bbox`` (left, top, width, height in pixels of the picture)
    and ``score``. As in the reference, boxes are not clipped to the picture, and those whose score is below
    ``threshold`` are left out (its ``IMAGE_THRE``).

    Args:
        boxes: The file, or its content.
        pictures: Those that the annotations list; boxes of others are left out.
        report: Counts what is left out.
        categories: The names of the persons' categories by id; by default COCO's, 1.
        threshold: The least score.

    Raises:
        DataError: The file or a detection is malformed, its place is named; or no detection is left, and why.
    """
    source = str(boxes) if isinstance(boxes, str | Path) else "boxes"
    rows = read_json(boxes)[0] if isinstance(boxes, str | Path) else boxes
    if not isinstance(rows, Sequence):
        raise DataError(
            f"{source}: expected a list of detections in COCO's result format, found a {type(rows).__name__}"
        )
    categories = categories or {PERSON_CATEGORY: "person"}
    persons = []
    for place, row in enumerate(rows):
        box, score = _check(row, f"{source}: detection number {place}")
        name = f"detection {place}"
        if row["category_id"] not in categories:
            report.left_out.add("detection of another category", name)
        elif score < threshold:
            report.left_out.add(f"score below {threshold:g}", name)
        elif box[2] <= 0 or box[3] <= 0:
            report.left_out.add("empty box", name)
        elif pictures.usable(row["image_id"], name, report) is not None:
            none = np.zeros((0, 2))
            persons.append(Person(place, row["image_id"], box, none, np.zeros(0, dtype=np.bool_), box_score=score))
    if not persons:
        why = why_nobody(rows, pictures.entries, categories, report)
        raise DataError(f"{source}: no usable person: {why}")
    found = {person.image_id for person in persons}
    for image_id in pictures.entries:
        if image_id not in found:
            report.noted.add("picture without a usable box", f"picture {image_id}")
    return persons


def why_nobody(
    rows: Sequence[Mapping[str, Any]],
    picture_ids: Collection[int | None] | None,
    categories: Mapping[int, str],
    report: Skipped,
) -> str:
    """What all detections have in common that leaves none, as the end of an error message.

    Args:
        rows: The detections.
        picture_ids: Of the pictures that the annotations list; None where detections name theirs themselves.
        categories: The names of the persons' categories by id.
        report: What was left out, and why.
    """
    if not rows:
        return "the list of detections is empty; is it the detector's whole output?"
    of_persons = [row for row in rows if "category_id" not in row or row["category_id"] in categories]
    if not of_persons:
        persons = ", ".join(f"{key} ({name})" for key, name in categories.items())
        found = _first({row["category_id"] for row in rows})
        return (
            f"its {len(rows)} detections are of the categories {found}, "
            f"none of the persons' category {persons}; give its boxes of persons that category_id"
        )
    if picture_ids is not None and not any(row.get("image_id") in picture_ids for row in of_persons):
        return (
            f"its {len(of_persons)} detections of persons are all of pictures that the annotations do not list: "
            f"of {_first({row.get('image_id') for row in of_persons})}, where the annotations list "
            f"{_first(picture_ids)}; is it the file of another split?"
        )
    return f"{len(rows)} detections\n{report}"


def _first(values: Collection[Any]) -> str:
    """The first few of some values, in order."""
    some = sorted(values, key=str)[:5]
    return f"{some}" if len(some) == len(values) else f"{some} and {len(values) - len(some)} more"


def _check(row: Any, name: str) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    keys = ("image_id", "category_id", "bbox", "score")
    missing = [key for key in keys if key not in row] if isinstance(row, Mapping) else list(keys)
    if missing:
        raise DataError(f"{name}: lacks {missing}; expected COCO's result format")
    for key in ("image_id", "category_id"):
        if not isinstance(row[key], Integral) or not is_id(int(row[key])):
            raise DataError(f"{name}: its {key} must be an integer, found {str(row[key])[:60]}")
    try:
        score = parse_numbers([row["score"]], "score", 1)
        return parse_pixels(row["bbox"], "bbox", 4), float(score[0])
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
