"""Persons' boxes from a file, and which picture each is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.boxes import why_nobody
from kdkit_pose.data.categories import person_categories
from kdkit_pose.data.mask_filling import masks_for
from kdkit_pose.data.masks import EncodedMask, encode_mask
from kdkit_pose.data.numerals import is_id
from kdkit_pose.data.predicted_masks import PredictedMasks
from kdkit_pose.data.skipped import Skipped
from kdkit_pose.geometry import clip_box
from kdkit_pose.prediction.checks import numbers
from kdkit_pose.prediction.poses import Array
from kdkit_pose.prediction.reading import PictureFile


@dataclass
class Persons:
    """The boxes of one picture.

    Attributes:
        image_id: The file's id of the picture; None where it has none.
        file_name: The file's name for it.
        size: Width and height in pixels, which masks are of; None where the file does not say it.
        boxes: [4] each, left, top, width, height in pixels of the picture.
        scores: The detector's; 1 for annotated boxes.
        ids: Each annotation's id, or the box's place in the detector's list.
        masks: For each box, None where it has none.
    """

    image_id: int | None
    file_name: str
    size: tuple[int, int] | None = None
    boxes: list[Array] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    masks: list[EncodedMask | None] = field(default_factory=list)

    def add(self, number: int, box: Array, score: float = 1.0, mask: EncodedMask | None = None) -> None:
        """One more person."""
        self.ids.append(number)
        self.boxes.append(box)
        self.scores.append(score)
        self.masks.append(mask)


@dataclass(frozen=True)
class BoxFile:
    """What a file of boxes, or of pictures only, says.

    Attributes:
        source: Its name, for messages.
        pictures: One for each picture that it knows.
        detected: Whether the boxes are a detector's, rather than annotated.
        category_id: Of the persons.
        skipped: What was left out, and why.
    """

    source: str
    pictures: list[Persons]
    detected: bool
    category_id: int
    skipped: Skipped

    @property
    def title(self) -> str:
        """Where the boxes came from, in words."""
        return f"{'detector' if self.detected else 'annotated'} boxes of {Path(self.source).name}"

    def match(self, files: Sequence[PictureFile]) -> list[Persons | None]:
        """For each picture file what is known of it: the entry whose file name its path ends with.

        Raises:
            DataError: An entry fits several of the files.
        """
        by_name: dict[str, list[Persons]] = {}
        for persons in self.pictures:
            by_name.setdefault(PureWindowsPath(persons.file_name).name, []).append(persons)
        taken: dict[int, PictureFile] = {}
        found: list[Persons | None] = []
        for file in files:
            parts = file.path.absolute().parts
            fitting = [
                persons
                for persons in by_name.get(file.path.name, [])
                if parts[-len(_parts(persons)) :] == _parts(persons)
            ]
            best = max(fitting, key=lambda persons: len(_parts(persons)), default=None)
            if best is not None and taken.setdefault(id(best), file) is not file:
                raise DataError(
                    f"{self.source}: the file name {best.file_name!r} fits both {taken[id(best)].path} and "
                    f"{file.path}; give the pictures of one folder only, or file names with their folder"
                )
            found.append(best)
        return found


def _parts(persons: Persons) -> tuple[str, ...]:
    # Read as a Windows path, "/" and "\\" both separate; what an absolute one begins with is nobody's folder.
    path = PureWindowsPath(persons.file_name)
    return path.parts[1:] if path.anchor else path.parts


def read_boxes(
    path: str | Path,
    annotations: str | Path | None = None,
    *,
    masks: bool = False,
    predicted_masks: str | Path | None = None,
    threshold: float = 0.0,
) -> BoxFile:
    """Read the boxes in a file.

    Args:
        path: Either a COCO annotation file, whose persons' boxes are clipped to the picture as in evaluation;
            or a list of a detector's boxes in COCO's result format, ``bbox`` (left, top, width, height in
            pixels), ``score``, ``category_id`` 1, and ``image_id`` or ``file_name`` for the picture.
        annotations: A COCO file whose ``images`` say which pictures the list's image ids are.
        masks: Whether to read the segmentations of an annotation file, too.
        predicted_masks: A file of :class:`kdkit_pose.data.predicted_masks.PredictedMasks` of these boxes, for
            persons without a mask; implies ``masks``.
        threshold: The least score of a detector's box.

    Raises:
        DataError: A file cannot be read or is of another kind, a row is malformed, the list names its pictures
            by ids and there are no annotations to look them up, no box is left, and why, or the masks were
            predicted for other boxes.
        ConfigurationError: ``annotations`` or a ``threshold`` are given for an annotation file, which needs none
            and has no scores.
    """
    content = read_json(path)[0]
    if isinstance(content, Mapping):
        if annotations is not None:
            raise ConfigurationError(
                f"{path} is an annotation file, which says itself which pictures its boxes are of: leave "
                f"--annotations {annotations} out"
            )
        if threshold:
            raise ConfigurationError(
                f"{path} is an annotation file, whose boxes have no scores: leave --box-threshold {threshold:g} "
                "out"
            )
        boxes = _from_annotations(content, str(path), masks=masks or predicted_masks is not None)
        of: tuple[str | Path, str | Path | None] = (path, None)
    elif isinstance(content, list):
        boxes = _from_detections(content, str(path), annotations, threshold)
        of = (annotations if annotations is not None else path, path)
    else:
        raise DataError(f"{path}: expected COCO annotations or a list of boxes, found a {type(content).__name__}")
    if predicted_masks is not None:
        predicted = masks_for(predicted_masks, *of)
        for picture in boxes.pictures:
            _fill_masks(picture, predicted, boxes.skipped, str(predicted_masks))
    return boxes


def read_pictures(annotations: str | Path) -> BoxFile:
    """The pictures of a COCO file, without its persons.

    Raises:
        DataError: The file cannot be read or is no COCO annotation file.
    """
    content = read_json(annotations)[0]
    pictures = _entries(content, str(annotations))
    category = _first(person_categories(content, str(annotations)))
    return BoxFile(str(annotations), list(pictures.values()), False, category, Skipped())


def _entries(content: Any, source: str) -> dict[int, Persons]:
    images = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(images, list):
        raise DataError(f"{source}: no list of 'images'; expected a COCO annotation file")
    pictures: dict[int, Persons] = {}
    for place, image in enumerate(images):
        name = image.get("file_name") if isinstance(image, Mapping) else None
        number = image.get("id") if isinstance(image, Mapping) else None
        if not isinstance(name, str) or not name or not is_id(number):
            shown = str(image)[:120]
            raise DataError(f"{source}: image entry number {place} needs an 'id' and a 'file_name', found {shown}")
        sides = (image.get("width"), image.get("height"))
        size = (int(sides[0]), int(sides[1])) if all(map(_is_side, sides)) else None
        pictures[number] = Persons(number, name, size)
    return pictures


def _is_side(value: Any) -> bool:
    """Whether it is a number of pixels; some programs write whole numbers as 64.0."""
    return (is_id(value) or (isinstance(value, float) and value.is_integer())) and value > 0


def _from_annotations(content: Mapping[str, Any], source: str, *, masks: bool) -> BoxFile:
    pictures, report = _entries(content, source), Skipped()
    if not isinstance(content.get("annotations"), list):
        raise DataError(f"{source}: no list of 'annotations'; expected a COCO annotation file with boxes")
    wanted = person_categories(content, source)
    for place, annotation in enumerate(content["annotations"]):
        name = f"annotation {annotation.get('id', place) if isinstance(annotation, Mapping) else place}"
        if not isinstance(annotation, Mapping) or "bbox" not in annotation or "image_id" not in annotation:
            raise DataError(f"{source}: {name} lacks 'bbox' or 'image_id'; expected COCO annotations")
        _check_ids(annotation, f"{source}: {name}")
        picture = pictures.get(annotation["image_id"])
        if picture is None:
            report.left_out.add("box of a picture that the file does not list", name)
        elif "category_id" in annotation and annotation["category_id"] not in wanted:
            report.left_out.add("box of another category", name)
        elif annotation.get("iscrowd", 0):
            report.left_out.add("crowd region", name)
        else:
            try:
                _add_annotated(picture, annotation, name, report, masks=masks)
            except DataError as error:
                raise DataError(f"{source}: {name}: {error}") from error
    if not any(picture.boxes for picture in pictures.values()):
        raise DataError(f"{source}: no usable person: {len(content['annotations'])} annotations\n{report}")
    return BoxFile(source, list(pictures.values()), False, _first(wanted), report)


def _add_annotated(
    picture: Persons, annotation: Mapping[str, Any], name: str, report: Skipped, *, masks: bool
) -> None:
    box = numbers(annotation["bbox"], (4,), "its bbox")
    if picture.size is not None:
        box = clip_box(box, *picture.size)
    else:
        report.noted.add("picture of no stated size: boxes not clipped, masks not read", picture.file_name)
    if box[2] <= 0 or box[3] <= 0:
        report.left_out.add("empty box", name)
        return
    mask = None
    if masks and picture.size is not None:
        mask = encode_mask(annotation.get("segmentation"), *picture.size)
        if mask is None:
            report.noted.add("person without a segmentation", name)
    picture.add(annotation.get("id", -1), box, mask=mask)


def _check_ids(row: Mapping[str, Any], name: str) -> None:
    for key in ("id", "image_id", "category_id"):
        if row.get(key) is not None and not is_id(row[key]):
            raise DataError(f"{name}: its {key} must be an integer, found {str(row[key])[:60]}")


def _fill_masks(picture: Persons, predicted: PredictedMasks, report: Skipped, source: str) -> None:
    for row, (number, mask) in enumerate(zip(picture.ids, picture.masks, strict=True)):
        if mask is None and number in predicted.segmentations:
            rle = predicted.segmentations[number]
            name = f"{picture.file_name} number {number}"
            try:
                # A list that names its pictures by file name does not say their size; the predictor, which sees
                # the picture, looks at the mask again.
                width, height = picture.size or _stated_size(rle)
                picture.masks[row] = encode_mask(dict(rle), width, height)
            except DataError as error:
                raise DataError(f"{source}: the mask of {name}: {error}; predict the masks again") from error
            report.noted.add(f"person with a mask by {predicted.source}", name)


def _stated_size(rle: Mapping[str, Any]) -> tuple[int, int]:
    size = rle.get("size")
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(is_id(s) and s > 0 for s in size):
        raise DataError(f"its segmentation needs a size [height, width] in pixels, found {str(size)[:60]}")
    return int(size[1]), int(size[0])


def _from_detections(
    rows: Sequence[Any], source: str, annotations: str | Path | None, threshold: float
) -> BoxFile:
    listing = read_json(annotations)[0] if annotations is not None else {}
    known = _entries(listing, str(annotations)).values() if annotations is not None else ()
    categories = person_categories(listing, str(annotations))
    by_id = {picture.image_id: picture for picture in known}
    by_name: dict[str, Persons] = {picture.file_name: picture for picture in known}
    report = Skipped()
    for place, row in enumerate(rows):
        name = f"box number {place}"
        if not isinstance(row, Mapping) or "bbox" not in row:
            raise DataError(f"{source}: {name} lacks 'bbox'; expected a list of boxes in COCO's result format")
        _check_ids(row, f"{source}: {name}")
        try:
            box = numbers(row["bbox"], (4,), "its bbox")
            score = float(numbers([row.get("score", 1.0)], (1,), "its score")[0])
        except DataError as error:
            raise DataError(f"{source}: {name}: {error}") from error
        picture: Persons | None
        if isinstance(row.get("file_name"), str):
            picture = by_name.setdefault(row["file_name"], Persons(row.get("image_id"), row["file_name"]))
        elif annotations is None:
            raise DataError(
                f"{source}: {name} names its picture by image_id {row.get('image_id')!r} only: give the COCO file "
                "that lists the pictures by --annotations, or a 'file_name' in each box"
            )
        else:
            picture = by_id.get(row.get("image_id"))
        if picture is None:
            report.left_out.add(f"box of a picture that {annotations} does not list", name)
        elif "category_id" in row and row["category_id"] not in categories:
            report.left_out.add("box of another category", name)
        elif score < threshold:
            report.left_out.add(f"score below {threshold:g}", name)
        elif box[2] <= 0 or box[3] <= 0:
            report.left_out.add("empty box", name)
        else:
            picture.add(place, box, score)
    if not any(picture.boxes for picture in by_name.values()):
        named = any("file_name" in row for row in rows)
        why = why_nobody(rows, None if named else list(by_id), categories, report)
        raise DataError(f"{source}: no usable person: {why}")
    return BoxFile(source, list(by_name.values()), True, _first(categories), report)


def _first(categories: Mapping[int, str]) -> int:
    return next(iter(categories))
