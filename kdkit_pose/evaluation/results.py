"""Results files in the COCO format: a list of dictionaries, one for each pose found."""

import json
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit.files import write_atomically
from kdkit_pose.data.numerals import FARTHEST
from kdkit_pose.evaluation.annotations import read_json
from kdkit_pose.skeleton import Skeleton

_NEEDED = ("image_id", "category_id", "keypoints", "score")


def write_results(results: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write ``results`` to ``path``, whole or not at all.

    Numbers keep every digit: scoring the file gives what scoring the results gives, to the bit. Missing folders
    are made.

    Raises:
        DataError: The folder cannot be written to, or a number is not finite.
    """
    try:
        content = json.dumps(list(results), allow_nan=False).encode()
        write_atomically(Path(path), lambda file: file.write(content))
    except OSError as error:
        raise DataError(f"results file {path} cannot be written: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"results for {path} hold what JSON cannot: {error}") from error


def read_results(path: str | Path) -> list[dict[str, Any]]:
    """The content of a results file; :func:`check_results` looks closer.

    Raises:
        DataError: It is missing, not JSON, or not a list.
    """
    content = read_json(path, "results file")
    if not isinstance(content, list):
        raise DataError(
            f"results file {path} holds a JSON {type(content).__name__}, expected a list of results; is "
            "it the annotation file?"
        )
    return content


def check_results(
    results: Sequence[Mapping[str, Any]],
    skeleton: Skeleton,
    image_ids: Collection[int],
    category_ids: Collection[int],
    source: str,
) -> None:
    """See that every result can be scored against a ground truth of these images and categories.

    Raises:
        DataError: One lacks a field, is of an unknown image or category, or has wrong or non-finite numbers.
    """
    for place, result in enumerate(results):
        where = f"{source}: result {place}"
        missing = [f for f in _NEEDED if f not in result] if isinstance(result, Mapping) else list(_NEEDED)
        if missing:
            raise DataError(f"{where} has no {missing[0]!r}; expected COCO keypoint results")
        for field in ("image_id", "category_id"):
            if not isinstance(result[field], Integral):
                raise DataError(f"{where}: its {field} must be an integer, found {str(result[field])[:60]}")
        if result["image_id"] not in image_ids:
            raise DataError(
                f"{where} is of image {result['image_id']!r}, which the ground truth does not have; score "
                "against the annotations of the same images"
            )
        if result["category_id"] not in category_ids:
            raise DataError(
                f"{where} is of category {result['category_id']!r}, the ground truth has {sorted(category_ids)}"
            )
        expected = 3 * skeleton.num_keypoints
        if not isinstance(result["keypoints"], Sequence) or len(result["keypoints"]) != expected:
            raise DataError(
                f"{where} needs 'keypoints' of {expected} numbers, x, y and score for each keypoint of "
                f"skeleton {skeleton.name!r}"
            )
        if not all(_is_finite(value) for value in (*result["keypoints"], result["score"])):
            raise DataError(
                f"{where}: 'keypoints' and 'score' must be finite numbers, and none beyond {FARTHEST:g}"
            )


def _is_finite(value: object) -> bool:
    # An integer may be too large for a float.
    return isinstance(value, int | float) and -FARTHEST <= value <= FARTHEST
