"""Many pictures, one after the other, and what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.data.skipped import Tally
from kdkit_pose.prediction.boxes import BoxFile, Persons
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.prediction.folder import PredictionFolder
from kdkit_pose.prediction.poses import Poses
from kdkit_pose.prediction.predictor import Predictor
from kdkit_pose.prediction.reading import PictureFile, open_picture


@dataclass
class BatchReport:
    """What was found, and what was not looked at and why.

    Attributes:
        boxes: Where the boxes came from, in words.
        pictures: How many were read.
        persons: How many poses were found, without near duplicates.
        boxless: The pictures that were not looked at, as the file has no box for them.
        unreadable: For each picture that could not be read, what was wrong with it.
        noted: What else is to be known, by reason.
    """

    boxes: str
    pictures: int = 0
    persons: int = 0
    boxless: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    noted: Tally = field(default_factory=Tally)

    def summary(self) -> str:
        """The outcome in a sentence."""
        pictures = f"{self.pictures} picture{'' if self.pictures == 1 else 's'}"
        persons = f"{self.persons} person{'' if self.persons == 1 else 's'}"
        return f"{persons} in {pictures}; {self.boxes}"

    def lines(self) -> list[str]:
        """All that is to be known beside it."""
        noted = [f"noted: {self.noted}"] if self.noted.total else []
        skipped = [f"skipped: {_listed(self.boxless)}"] if self.boxless else []
        return skipped + [f"left out: {problem}" for problem in self.unreadable] + noted


class Batch:
    """Predicts pictures, each by the boxes that a file gives it; one that gets no box is not looked at.

    Attributes:
        files: The pictures to predict.
        report: What came of it.

    Args:
        predictor: The network and its conventions.
        files: The pictures that there are.
        listed: Boxes of a file, or only the pictures' ids; None to number the pictures from 1 on in their order.
        whole: Whether each picture is taken for one person's box, rather than those of ``listed``.
        upright: Whether to turn pictures by their EXIF orientation.
        heatmaps: Whether poses keep their heatmaps.
        most: How many boxes to take from a picture, those of the highest scores; None for all.

    Raises:
        DataError: The box file has no box for any of the pictures, or names them ambiguously.
        ConfigurationError: The network reads masks, nothing predicts them, and there are no boxes, or none of them
            has a mask.
    """

    def __init__(
        self,
        predictor: Predictor,
        files: Sequence[PictureFile],
        listed: BoxFile | None,
        *,
        whole: bool,
        upright: bool,
        heatmaps: bool = False,
        most: int | None = None,
    ) -> None:
        self._predictor, self._whole, self._upright = predictor, whole, upright
        self._heatmaps, self._most = heatmaps, most
        matched = listed.match(files) if listed is not None else [None] * len(files)
        self._known = dict(zip((file.name for file in files), matched, strict=True))
        self._numbers = _numbers(files, self._known)
        self._category = listed.category_id if listed is not None else 1
        self.report = BatchReport("whole pictures, one person each" if whole or listed is None else listed.title)
        if listed is not None:
            _require_known(listed, matched, files, boxes=not whole)
            self._note(listed, matched)
        self.files = [file for file in files if whole or _has_boxes(self._known[file.name])]
        self.report.boxless = [file.name for file in files if file not in self.files]
        if predictor.reads_masks and predictor.mask_predictor is None:
            _require_masks(None if whole else matched)

    def predict(self, file: PictureFile, folder: PredictionFolder) -> None:
        """Read a picture, find its persons and hand them to ``folder``; one that cannot be read is noted."""
        try:
            picture, turned = open_picture(file.path, upright=self._upright)
            known = self._known[file.name]
            if known is not None and known.size is not None and known.size != picture.shape[1::-1]:
                raise DataError(
                    f"{file.path}: of {picture.shape[1]}x{picture.shape[0]} pixels, but the file lists it with "
                    f"{known.size[0]}x{known.size[1]}"
                )
        except DataError as error:
            self.report.unreadable.append(str(error))
            return
        if turned:
            self.report.noted.add("turned upright, keypoints are of the upright picture", file.name)
        self.report.pictures += 1
        self._predict(file, picture, known, folder)

    def _predict(
        self, file: PictureFile, picture: Picture, known: Persons | None, folder: PredictionFolder
    ) -> None:
        predictor = self._predictor
        if self._whole:
            masks: Sequence[EncodedMask | None] = [None]
            poses = predictor.predict(picture, heatmaps=self._heatmaps)
        else:
            chosen = self._chosen(known or Persons(None, file.name), file)
            masks = chosen.masks
            poses = predictor.predict(
                picture,
                np.array(chosen.boxes).reshape(-1, 4),
                box_scores=chosen.scores,
                masks=masks if predictor.reads_masks else None,
                heatmaps=self._heatmaps,
            )
        # Those that the network read are drawn, predicted ones among them.
        self._note_masks(file, masks, poses)
        masks = masks if poses.masks is None else poses.masks
        rows = poses.distinct(predictor.skeleton)
        if len(rows) < len(poses):
            self.report.noted.add("pose too like a better one (OKS-NMS)", file.name, len(poses) - len(rows))
        poses = poses.select(rows)
        self.report.persons += len(poses)
        name = known.file_name if known is not None else file.name
        results = poses.results(self._numbers[file.name], name, self._category)
        folder.add(file, picture, poses, results, [masks[row] for row in rows])

    def _note_masks(self, file: PictureFile, given: Sequence[EncodedMask | None], poses: Poses) -> None:
        """Say how many masks were predicted, and where that came to nothing."""
        if self._predictor.mask_predictor is None or poses.masks is None:
            return
        found = [read for known, read in zip(given, poses.masks, strict=True) if known is None]
        empty = sum(mask is None for mask in found)
        for what, count in (
            (f"person with a mask by {self._predictor.mask_predictor.source}", len(found) - empty),
            ("person given a mask of ones (the predicted mask is empty)", empty),
        ):
            if count:
                self.report.noted.add(what, file.name, count)

    def _chosen(self, known: Persons, file: PictureFile) -> Persons:
        """The boxes to look at."""
        order = np.argsort([-score for score in known.scores], kind="stable")[: self._most]
        if len(order) < len(known.boxes):
            self.report.noted.add("box left out by --max-persons", file.name, len(known.boxes) - len(order))
        rows = sorted(int(row) for row in order)
        return replace(
            known,
            boxes=[known.boxes[row] for row in rows],
            scores=[known.scores[row] for row in rows],
            ids=[known.ids[row] for row in rows],
            masks=[known.masks[row] for row in rows],
        )

    def _note(self, listed: BoxFile, matched: Sequence[Persons | None]) -> None:
        for tally in (listed.skipped.left_out, listed.skipped.noted):
            self.report.noted.merge(tally)
        unused = len(listed.pictures) - sum(persons is not None for persons in matched)
        boxes = sum(len(persons.boxes) for persons in listed.pictures)
        used = sum(len(persons.boxes) for persons in matched if persons is not None)
        if boxes > used:
            name = Path(listed.source).name
            self.report.noted.add(f"box of {unused} other pictures of the file", name, boxes - used)


def _numbers(files: Sequence[PictureFile], known: dict[str, Persons | None]) -> dict[str, int]:
    """Each picture's image id: that of the file, else the next number that no other has."""
    given = {persons.image_id for persons in known.values() if persons is not None}
    free = iter(number for number in range(1, len(files) + len(given) + 1) if number not in given)
    numbers = {}
    for file in files:
        persons = known[file.name]
        known_id = persons.image_id if persons is not None else None
        numbers[file.name] = known_id if known_id is not None else next(free)
    return numbers


def _has_boxes(persons: Persons | None) -> bool:
    return persons is not None and bool(persons.boxes)


def _listed(names: Sequence[str], most: int = 5) -> str:
    """How many pictures without a box there are, and the first names."""
    count = f"{len(names)} picture{'' if len(names) == 1 else 's'} without a box"
    return f"{count} ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"


def _require_known(
    listed: BoxFile, matched: Sequence[Persons | None], files: Sequence[PictureFile], *, boxes: bool
) -> None:
    if not any(_has_boxes(persons) if boxes else persons is not None for persons in matched):
        names = ", ".join(persons.file_name for persons in listed.pictures[:2])
        raise DataError(
            f"{listed.source}: {'no box for' if boxes else 'does not list'} any of the {len(files)} pictures, "
            f"such as {files[0].name}; pictures are known by file names, which it has like {names or 'none'}"
        )


def _require_masks(matched: Sequence[Persons | None] | None) -> None:
    masks = [mask for persons in matched or () if persons is not None for mask in persons.masks]
    if not any(mask is not None for mask in masks):
        raise ConfigurationError(
            "the network reads each person's mask, and there are none: give --mask-predictor (kdkit-pose "
            "train-masks makes one), or --boxes with COCO annotations that have segmentations, or "
            "--predicted-masks for them, or a network that needs none, such as a student"
        )
