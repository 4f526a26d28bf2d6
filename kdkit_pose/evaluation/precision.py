"""COCO's average precision as a function of how often each picture counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.cocoeval import COCOeval

from kdkit.errors import DataError

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_LEVELS = np.linspace(0.0, 1.0, 101)
"""The recalls at which COCO reads the precision."""


@dataclass(frozen=True)
class _Steps:
    """Where the figures change at one threshold, as places in the order of scores.

    Attributes:
        right: [R], the matched detections.
        ignored: [I], those that are neither right nor wrong.
        passed: [R], how many ignored ones stand before each matched one.
    """

    right: Places
    ignored: Places
    passed: Places


@dataclass(frozen=True)
class Detections:
    """The D detections of a whole evaluation by descending score, each judged at T OKS thresholds.

    Attributes:
        picture: [D], which of the N pictures each is of, as a place in ``picture_ids``.
        right: [T, D], 1 where it is matched with a person.
        wrong: [T, D], 1 where it is not; a detection that is to be ignored is neither.
        persons: [N], how many persons there are to be found in each picture.
        picture_ids: [N].
    """

    picture: npt.NDArray[np.int64]
    right: Array
    wrong: Array
    persons: npt.NDArray[np.int64]
    picture_ids: tuple[int, ...]

    @cached_property
    def steps(self) -> tuple[_Steps, ...]:
        """For each threshold what any draw of the pictures shares."""
        found = []
        for right, wrong in zip(self.right, self.wrong, strict=True):
            matched, ignored = np.flatnonzero(right), np.flatnonzero((right == 0) & (wrong == 0))
            found.append(_Steps(matched, ignored, np.searchsorted(ignored, matched)))
        return tuple(found)

    @classmethod
    def of(cls, evaluation: COCOeval) -> "Detections":
        """Those of a COCOeval after its ``evaluate()``: of persons of any size.

        Raises:
            DataError: It is of several categories, whose AP is a mean over them and no function of one list.
        """
        categories = sorted(int(one) for one in evaluation.params.catIds)
        if len(categories) != 1:
            raise DataError(
                f"the ground truth has {len(categories)} categories of persons ({categories}); a comparison and "
                "levels of crowding are of one: keep one category in the file, or give all persons the same"
            )
        ids = tuple(evaluation.params.imgIds)
        # Categories, areas, pictures: the one category, the first area (all), in the pictures' order.
        judged: Sequence[dict[str, Any] | None] = evaluation.evalImgs[: len(ids)]
        most, thresholds = evaluation.params.maxDets[-1], len(evaluation.params.iouThrs)
        places, scores, matched, ignored, persons = [], [], [], [], np.zeros(len(ids), dtype=np.int64)
        for place, found in enumerate(judged):
            if found is None:
                continue
            shown = np.asarray(found["dtScores"][:most], dtype=np.float64)
            places.append(np.full(len(shown), place, dtype=np.int64))
            scores.append(shown)
            matched.append(np.asarray(found["dtMatches"])[:, :most] != 0)
            ignored.append(np.asarray(found["dtIgnore"])[:, :most] != 0)
            persons[place] = np.count_nonzero(np.asarray(found["gtIgnore"]) == 0)
        nothing = np.zeros((thresholds, 0), dtype=bool)
        # COCOeval's own order, so that equal scores stand as they do there.
        order = np.argsort(-np.concatenate([np.zeros(0), *scores]), kind="mergesort")
        match = np.concatenate([nothing, *matched], axis=1)[:, order]
        counted = ~np.concatenate([nothing, *ignored], axis=1)[:, order]
        picture = np.concatenate([np.zeros(0, dtype=np.int64), *places])[order]
        return cls(picture, (match & counted).astype(float), (~match & counted).astype(float), persons, ids)


def average_precision(detections: Detections, counts: Array | None = None) -> float:
    """COCO's AP, the mean over OKS thresholds 0.50 to 0.95, where each picture counts ``counts`` [N] times.

    Without ``counts`` each counts once, and the AP is COCOeval's. A picture drawn twice by a bootstrap gives
    what two copies of it would: a detection's copies stand one behind the other, and the interpolated
    precision of the first is that of the last.

    Returns:
        In 0..1; NaN where the pictures that count show nobody.
    """
    counts = np.ones(len(detections.persons)) if counts is None else counts
    total = float(counts @ detections.persons)
    if total == 0:
        return float("nan")
    weight = counts[detections.picture]
    seen = np.cumsum(weight)
    return float(np.mean([_sampled(steps, weight, seen, total) for steps in detections.steps]))


def _sampled(steps: _Steps, weight: Array, seen: Array, total: float) -> Array:
    """The interpolated precision at each of COCO's recalls, at one threshold.

    Only matched detections are looked at: recall rises there alone, and between them precision falls.

    Args:
        steps: Of the threshold.
        weight: [D], how often each detection counts.
        seen: [D], its running sum.
        total: How many persons there are to be found.
    """
    right = np.cumsum(weight[steps.right])
    ignored = np.append(0.0, np.cumsum(weight[steps.ignored]))[steps.passed]
    precision = right / (seen[steps.right] - ignored + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(envelope, 0.0)[np.searchsorted(right / total, _LEVELS, side="left")]
