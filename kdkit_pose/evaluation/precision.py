"""COCO's average precision as a function of how often each picture counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.cocoeval import COCOeval

Array = npt.NDArray[np.float64]


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

    @classmethod
    def of(cls, evaluation: COCOeval) -> "Detections":
        """Those of a COCOeval after its ``evaluate()``: of one category, of persons of any size."""
        ids = tuple(evaluation.params.imgIds)
        # Categories, areas, pictures: the first category, the first area (all), in the pictures' order.
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
    right = np.cumsum(detections.right * weight, axis=1)
    wrong = np.cumsum(detections.wrong * weight, axis=1)
    recall = right / total
    precision = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    levels = np.linspace(0.0, 1.0, 101)
    sampled = [
        np.append(row, 0.0)[np.searchsorted(reached, levels, side="left")]
        for row, reached in zip(envelope, recall, strict=True)
    ]
    return float(np.mean(sampled))
