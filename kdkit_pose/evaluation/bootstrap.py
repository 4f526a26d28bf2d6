"""Whether one network is better than another, or was luckier with the pictures: a paired bootstrap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.evaluation.annotations import Annotations, load_annotations
from kdkit_pose.evaluation.metrics import evaluate_results
from kdkit_pose.evaluation.precision import Detections, average_precision
from kdkit_pose.skeleton import COCO, Skeleton


@dataclass(frozen=True)
class Comparison:
    """The AP of two networks on the same pictures, and how far their difference may be chance.

    Attributes:
        first: AP of the first, in 0..1.
        second: AP of the second.
        low, high: The ends of the interval of ``first - second``.
        confidence: How much of the resamples lies within the interval, in 0..1.
        pictures: How many were drawn from, those without a person included.
        resamples: How many times.
        seed: Of the draws.
    """

    first: float
    second: float
    low: float
    high: float
    confidence: float
    pictures: int
    resamples: int
    seed: int

    @property
    def difference(self) -> float:
        """``first - second``."""
        return self.first - self.second

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        verdict = "" if self.is_clear else ": may be chance"
        return (
            f"AP difference {self.difference:+.3f}, {self.confidence:.0%} interval {self.low:+.3f} to "
            f"{self.high:+.3f} ({self.resamples} paired resamples of {self.pictures} pictures){verdict}"
        )


def compare(
    annotations: Annotations,
    first: Sequence[Mapping[str, Any]] | str | Path,
    second: Sequence[Mapping[str, Any]] | str | Path,
    *,
    skeleton: Skeleton = COCO,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two sets of keypoint results on the same ground truth.

    The pictures are drawn with replacement, as many as there are, and both results are scored on each draw:
    what is hard in a picture is hard for both and cancels. Pictures are drawn, not persons, since persons of
    one picture are not independent. The interval is the percentile interval of Efron and Tibshirani, *An
    Introduction to the Bootstrap* (1993), chapter 13. It tells of the choice of pictures alone, not of
    another training seed.

    Args:
        annotations: The ground truth; all its pictures count.
        first: COCO keypoint results, or their file; see :func:`kdkit_pose.evaluation.coco_metrics`.
        second: The other's.
        skeleton: Gives the OKS sigmas.
        confidence: Of the interval, between 0 and 1.
        resamples: How many draws; at least 100.
        seed: Of the draws.
        progress: Called after each draw with how many are done and how many there are to be.

    Raises:
        DataError: Results do not fit the ground truth, or the ground truth has no person, one picture only, or
            several categories of persons.
        ConfigurationError: ``confidence`` or ``resamples`` is out of its range.
    """
    if not 0 < confidence < 1:
        raise ConfigurationError(f"confidence is {confidence}, it must lie between 0 and 1, such as 0.95")
    if resamples < 100:
        raise ConfigurationError(f"resamples is {resamples}, an interval needs at least 100, better 2000")
    truth = load_annotations(annotations, skeleton)
    check_comparable(truth, skeleton=skeleton)
    # COCOeval writes into the ground truth: each gets its own.
    judged = [
        Detections.of(evaluate_results(load_annotations(truth, skeleton), r, skeleton)) for r in (first, second)
    ]
    differences: list[float] = []
    for counts in _draws(judged[0].persons, resamples, seed):
        differences.append(average_precision(judged[0], counts) - average_precision(judged[1], counts))
        if progress is not None:
            progress(len(differences), resamples)
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Comparison(
        first=average_precision(judged[0]),
        second=average_precision(judged[1]),
        low=float(low),
        high=float(high),
        confidence=confidence,
        pictures=len(judged[0].persons),
        resamples=resamples,
        seed=seed,
    )


def check_comparable(annotations: Annotations, *, skeleton: Skeleton = COCO) -> None:
    """Require a ground truth on which :func:`compare` can tell anything: before results of it are made.

    Raises:
        DataError: It has no person, one picture only, or several categories of persons.
    """
    empty = Detections.of(evaluate_results(load_annotations(annotations, skeleton), [], skeleton))
    pictures, persons = len(empty.persons), int(empty.persons.sum())
    if pictures < 2 or not persons:
        raise DataError(
            f"an interval needs two pictures and a labelled person at least; the ground truth has {pictures} and"
            f" {persons}"
        )


def _draws(persons: NDArray[np.int64], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Draw pictures with replacement, as many as there are, and yield how often each was drawn.

    Args:
        persons: How many each picture has.
        resamples: How many draws.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    made = 0
    while made < resamples:
        counts = np.bincount(generator.integers(len(persons), size=len(persons)), minlength=len(persons))
        # A draw without any person has no AP: it is drawn again.
        if counts @ persons > 0:
            made += 1
            yield counts.astype(float)
