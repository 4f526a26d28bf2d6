"""COCO keypoint files: read, checked, and turned into arrays of the persons to train on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdkit import json_files
from kdkit.errors import DataError
from kdkit_pose.data.categories import person_categories, require_keypoints
from kdkit_pose.data.masks import EncodedMask, encode_mask
from kdkit_pose.data.numerals import is_id, parse_numbers, parse_pixels
from kdkit_pose.data.people import Person
from kdkit_pose.data.pictures import Pictures
from kdkit_pose.data.skipped import Skipped
from kdkit_pose.geometry import clip_box
from kdkit_pose.skeleton import Skeleton


def read_json(path: str | Path) -> tuple[Any, str]:
    """The content of a JSON file and the SHA-256 of its bytes.

    Raises:
        DataError: It cannot be read, is not JSON, or beyond the `kdkit.Limits`; file and position are named.
    """
    try:
        raw = json_files.read_bytes(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    try:
        return json_files.parse_json(raw), hashlib.sha256(raw).hexdigest()
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: no valid JSON at line {error.lineno}, column {error.colno} (character {error.pos} of "
            f"{len(raw)}): {error.msg}; is the file complete?"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: no valid JSON, byte {error.start} is not UTF-8; is this another kind of file?"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: JSON that cannot be read: {error}") from error


def check_layout(content: Any, source: str, keys: Sequence[str]) -> None:
    """Raise unless ``content`` is a mapping with lists under ``keys``, as COCO's files are.

    Raises:
        DataError: It is not.
    """
    found = content if isinstance(content, Mapping) else {}
    missing = [key for key in keys if not isinstance(found.get(key), list)]
    if missing:
        what = f"the keys {sorted(map(str, found))[:8]}" if found else f"a {type(content).__name__}"
        raise DataError(f"{source}: not a COCO annotation file: expected lists under {missing}, found {what}")


def check_coco(content: Any, source: str, skeleton: Skeleton, *, annotated: bool = True) -> None:
    """Raise unless ``content`` is laid out like a COCO keypoint file for ``skeleton``.

    One that is not to be ``annotated`` needs ``images`` only, as COCO's image_info files have them.

    Raises:
        DataError: A part is missing, or the file's keypoints are others than the skeleton's.
    """
    check_layout(content, source, ("images", "annotations", "categories") if annotated else ("images",))
    require_keypoints(content, source, skeleton)


def parse_persons(
    content: Mapping[str, Any],
    source: str,
    skeleton: Skeleton,
    pictures: Pictures,
    report: Skipped,
    *,
    masks: bool,
    keep_unlabelled: bool = False,
) -> list[Person]:
    """The persons of a COCO keypoint file that the reference protocol trains on and scores.

    Those of :func:`person_categories` with ``iscrowd`` 0, an area above 0 (where one is given), a box that is not
    empty once clipped to the picture, at least one labelled keypoint inside of the picture, and a usable picture.
    Occluded keypoints (v = 1) count as labelled. With ``keep_unlabelled`` no keypoint need be labelled, nor any
    be listed.

    Raises:
        DataError: An annotation is malformed; it is named.
    """
    bodies = person_categories(content, source)
    persons: list[Person] = []
    seen: set[int] = set()
    for position, annotation in enumerate(content["annotations"]):
        if not isinstance(annotation, Mapping):
            raise DataError(f"{source}: annotation number {position} is a {type(annotation).__name__}, no object")
        name = f"{source}: annotation {annotation.get('id', f'number {position}')}"
        category = annotation.get("category_id")
        if category is not None and not is_id(category):
            raise DataError(f"{name}: its category_id must be an integer, found {str(category)[:60]}")
        if "category_id" in annotation and category not in bodies:
            report.left_out.add("annotation of another category", f"annotation {annotation.get('id')}")
            continue
        try:
            person = _parse(
                annotation, skeleton.num_keypoints, pictures, report, masks=masks, keep=keep_unlabelled
            )
            if annotation["id"] in seen:
                raise DataError("another annotation has the same id")
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        seen.add(annotation["id"])
        if person is not None:
            persons.append(person)
    return persons


def _parse(
    annotation: Mapping[str, Any],
    num_keypoints: int,
    pictures: Pictures,
    report: Skipped,
    *,
    masks: bool,
    keep: bool,
) -> Person | None:
    _require(annotation, ("id", "image_id", "bbox") if keep else ("id", "image_id", "bbox", "keypoints"))
    name = f"annotation {annotation['id']}"
    if annotation.get("iscrowd", 0):
        report.left_out.add("crowd region", name)
        return None
    listed = annotation.get("keypoints")
    none = keep and not listed
    joints = parse_pixels([0] * num_keypoints * 3 if none else listed, "keypoints", num_keypoints * 3)
    joints = joints.reshape(-1, 3)
    box = parse_pixels(annotation["bbox"], "bbox", 4)
    if not keep and not (joints[:, 2] > 0).any():
        report.left_out.add("person without a labelled keypoint", name)
        return None
    if parse_numbers([annotation.get("area", box[2] * box[3])], "area", 1)[0] <= 0:
        report.left_out.add("person without an area", name)
        return None
    entry = pictures.usable(annotation["image_id"], name, report)
    if entry is None:
        return None
    width, height = entry["width"], entry["height"]
    clipped = clip_box(box, width, height)
    if clipped[2] <= 0 or clipped[3] <= 0:
        report.left_out.add("empty box", name)
        return None
    x, y, visibility = joints.T
    outside = (visibility > 0) & ~((x >= 0) & (x < width) & (y >= 0) & (y < height))
    if outside.any():
        report.noted.add("keypoint outside of its picture, taken as unlabelled", name, int(outside.sum()))
    labelled = (visibility > 0) & ~outside
    if not keep and not labelled.any():
        report.left_out.add("person with all labelled keypoints outside of the picture", name)
        return None
    if not labelled.any():
        report.noted.add("person without a labelled keypoint, kept", name)
    mask: EncodedMask | None = None
    if masks:
        mask = encode_mask(annotation.get("segmentation"), width, height)
    return Person(
        id=annotation["id"],
        image_id=annotation["image_id"],
        box=clipped,
        keypoints=np.where(labelled[:, None], joints[:, :2], 0.0),
        labelled=labelled,
        mask=mask,
    )


def _require(annotation: Mapping[str, Any], keys: Sequence[str]) -> None:
    missing = [key for key in keys if key not in annotation]
    if missing:
        raise DataError(f"lacks {missing}; expected a COCO keypoint annotation")
    for key in ("id", "image_id"):
        if not is_id(annotation[key]):
            raise DataError(f"its {key} must be an integer of 64 bits, found {str(annotation[key])[:60]!r}")
