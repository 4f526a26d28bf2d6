"""COCO ground truth as pycocotools wants it, checked before it gets there."""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pycocotools.coco import COCO as CocoDataset

from kdkit import json_files
from kdkit.errors import DataError
from kdkit_pose.data.categories import person_categories, require_keypoints
from kdkit_pose.data.numerals import is_id, parse_numbers, parse_pixels
from kdkit_pose.skeleton import Skeleton

Annotations: TypeAlias = str | Path | Mapping[str, Any] | CocoDataset
_NEEDED = ("id", "image_id", "category_id", "keypoints", "bbox")

BOX_SHARE = 0.53
"""The share of its box that a person's area is taken to be where none is given: crowdposetools'."""


def read_json(path: str | Path, what: str) -> Any:
    """The content of the JSON file ``path``, called ``what`` in errors.

    Raises:
        DataError: The file is missing, unreadable, not JSON, or beyond the `kdkit.Limits`.
    """
    try:
        return json_files.read_json(path)
    except OSError as error:
        raise DataError(f"{what} {path} cannot be read: {error.strerror}; check the path") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{what} {path} is not whole JSON ({error}); was its writing or download cut short? Make it anew"
        ) from error
    except ValueError as error:
        raise DataError(f"{what} {path} cannot be read: {error}") from error


def load_annotations(annotations: Annotations, skeleton: Skeleton) -> CocoDataset:
    """COCO keypoint ground truth from a file, its content, or a loaded data set, which is left as it is.

    Only annotations of persons are taken over. One without ``iscrowd`` is no crowd. One without ``area``, as
    CrowdPose's, gets 0.53 of its box's, and ``area_from_box`` set to true.

    Raises:
        DataError: It cannot be read, or is not keypoint ground truth of the skeleton.
    """
    if isinstance(annotations, str | Path):
        source = str(annotations)
        content = read_json(annotations, "annotation file")
    else:
        source = "the annotations given"
        content = annotations.dataset if isinstance(annotations, CocoDataset) else annotations
    for field in ("images", "annotations", "categories"):
        if not isinstance(content, Mapping) or not isinstance(content.get(field), list):
            raise DataError(
                f"{source}: no list of {field!r}; expected COCO keypoint ground truth, like "
                "person_keypoints_val2017.json"
            )
    persons = person_categories(content, source)
    require_keypoints(content, source, skeleton)
    for place, image in enumerate(content["images"]):
        if not isinstance(image, Mapping) or not is_id(image.get("id")):
            raise DataError(f"{source}: image entry number {place} has no integer 'id'")
    copies: list[dict[str, Any]] = []
    seen: set[int] = set()
    for place, annotation in enumerate(content["annotations"]):
        if not isinstance(annotation, Mapping):
            raise DataError(f"{source}: annotation number {place} is a {type(annotation).__name__}, no object")
        if not is_id(annotation.get("category_id", 0)):
            raise DataError(f"{source}: annotation number {place}: its category_id must be an integer")
        if annotation.get("category_id") in persons or "category_id" not in annotation:
            _check(annotation, source, skeleton)
            if annotation["id"] in seen:
                # The evaluation looks annotations up by it, and would take the last one for all.
                raise DataError(
                    f"{source}: annotation {annotation['id']}: another has the same id; give each its own"
                )
            seen.add(annotation["id"])
            # The evaluation writes into the annotations: copies spare the caller's.
            labelled = sum(v > 0 for v in annotation["keypoints"][2::3])
            copies.append({"num_keypoints": labelled, "iscrowd": 0, **annotation})
    for annotation in copies:
        if "area" not in annotation:
            annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3] * BOX_SHARE
            annotation["area_from_box"] = True
    return indexed({**content, "annotations": copies})


def indexed(content: dict[str, Any]) -> CocoDataset:
    """The pycocotools data set of ``content``, made without its remarks on the standard output."""
    dataset = CocoDataset()
    dataset.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        dataset.createIndex()
    return dataset


def _check(annotation: Mapping[str, Any], source: str, skeleton: Skeleton) -> None:
    missing = [field for field in _NEEDED if field not in annotation]
    if missing:
        raise DataError(
            f"{source}: annotation {annotation.get('id')} has no {missing[0]!r}; expected keypoint "
            f"ground truth with {', '.join(_NEEDED)}"
        )
    where = f"{source}: annotation {str(annotation['id'])[:60]}"
    for field in ("id", "image_id"):
        if not is_id(annotation[field]):
            raise DataError(f"{where}: its {field} must be an integer, found {str(annotation[field])[:60]}")
    if not isinstance(annotation["keypoints"], Sequence) or isinstance(annotation["keypoints"], str):
        raise DataError(f"{where}: its keypoints must be numbers, found {str(annotation['keypoints'])[:60]}")
    found, expected = len(annotation["keypoints"]), 3 * skeleton.num_keypoints
    if found != expected:
        raise DataError(
            f"{source}: annotation {annotation['id']} has {found} keypoint numbers, {expected} are needed for the "
            f"{skeleton.num_keypoints} keypoints of skeleton {skeleton.name!r}; give this data set's skeleton"
        )
    try:
        parse_pixels(annotation["keypoints"], "keypoints", expected)
        parse_pixels(annotation["bbox"], "bbox", 4)
        parse_numbers([annotation.get("area", 0), annotation.get("iscrowd", 0)], "area and iscrowd", 2)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
