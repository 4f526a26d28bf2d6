"""Where persons have no mask of their own: the predicted one, or one of ones, and a note of which."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.mask_source import MasksUsed
from kdkit_pose.data.masks import encode_mask
from kdkit_pose.data.people import Person
from kdkit_pose.data.pictures import Entry
from kdkit_pose.data.predicted_masks import PredictedMasks, content_digest
from kdkit_pose.data.skipped import Skipped

Content = str | Path | Mapping[str, Any]
Boxes = str | Path | Sequence[Mapping[str, Any]]


def masks_for(masks: str | Path | PredictedMasks, annotations: Content, boxes: Boxes | None) -> PredictedMasks:
    """The predicted masks, once they are known to be of these annotations and boxes.

    Raises:
        DataError: They were predicted for others, hold an id that these do not, or the file cannot be used.
    """
    name = "predicted_masks" if isinstance(masks, PredictedMasks) else str(masks)
    predicted = masks if isinstance(masks, PredictedMasks) else PredictedMasks.load(masks)
    if (predicted.boxes is None) != (boxes is None):
        theirs, used = ("annotated", "a detector's") if boxes is not None else ("a detector's", "annotated")
        raise DataError(
            f"{name}: its masks are of the persons in {theirs} boxes, but {used} boxes are used: predict masks "
            f"for these, with{'' if boxes is not None else 'out'} --boxes"
        )
    _require_same(name, "annotations", predicted.annotations, annotations)
    if predicted.boxes is not None and boxes is not None:
        _require_same(name, "boxes", predicted.boxes, boxes)
    unknown = sorted(predicted.segmentations.keys() - _ids(annotations, boxes))
    if unknown:
        where = "annotations" if boxes is None else "boxes"
        raise DataError(f"{name}: the {where} have no id {unknown[0]}, which has a mask: predict the masks again")
    return predicted


def fill_masks(
    persons: Sequence[Person], predicted: PredictedMasks | None, entries: Mapping[int, Entry], report: Skipped
) -> tuple[list[Person], MasksUsed | None]:
    """The persons, those without a mask with the predicted one; masks that are there stay.

    Every person left without a mask, and every one given a predicted mask, is noted in ``report``.

    Raises:
        DataError: A predicted mask that is needed is malformed or does not fit its picture.
    """
    filled = [_filled(person, predicted, entries[person.image_id], report) for person in persons]
    count = sum(new is not old for new, old in zip(filled, persons, strict=True))
    return filled, MasksUsed(predicted.source, count, len(filled)) if predicted is not None and count else None


def _filled(person: Person, predicted: PredictedMasks | None, entry: Entry, report: Skipped) -> Person:
    if person.mask is not None:
        return person
    # A detection has no keypoints.
    name = f"{'annotation' if len(person.keypoints) else 'detection'} {person.id}"
    given_ones = "person without a segmentation, given a mask of ones"
    if predicted is None:
        report.noted.add(given_ones, name)
        return person
    segmentation = predicted.segmentations.get(person.id)
    if segmentation is None:
        report.noted.add(f"{given_ones} (no mask was predicted for it)", name)
        return person
    try:
        mask = encode_mask(dict(segmentation), entry["width"], entry["height"])
    except DataError as error:
        raise DataError(f"predicted mask of {name}: {error}; predict the masks again") from error
    if mask is None:
        report.noted.add(f"{given_ones} (the predicted mask is empty)", name)
        return person
    report.noted.add(f"mask predicted by {predicted.source}", name)
    return replace(person, mask=mask)


def _require_same(name: str, what: str, expected: str, given: Content | Boxes) -> None:
    found = content_digest(given)
    if found != expected:
        these = str(given) if isinstance(given, str | Path) else f"the {what} given"
        raise DataError(
            f"{name}: its masks were predicted for {what} of SHA-256 {expected[:12]}..., but {these} "
            f"has {found[:12]}...: predict masks for these {what}"
        )


def _ids(annotations: Content, boxes: Boxes | None) -> set[int]:
    if boxes is not None:
        return set(range(len(read_json(boxes)[0] if isinstance(boxes, str | Path) else boxes)))
    content = annotations if isinstance(annotations, Mapping) else read_json(annotations)[0]
    return {annotation.get("id") for annotation in content["annotations"]}
