"""How far off each keypoint is, where a network found the person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit_pose.evaluation.annotations import Annotations, load_annotations
from kdkit_pose.evaluation.metrics import evaluate_results
from kdkit_pose.skeleton import COCO, Skeleton

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KeypointError:
    """The error of one keypoint over the persons that were found.

    Attributes:
        keypoint: Its name.
        labelled: In how many of the persons found it is labelled.
        median: Median distance from its label, in pixels of the picture; None if it is never labelled.
        mean: Mean distance, in pixels of the picture.
        similarity: Mean of its part in the OKS, exp(-distance^2 / (2 * area * (2 * sigma)^2)), in 0..1: the
            distance measured by the person's size and by how exactly people label this keypoint.
    """

    keypoint: str
    labelled: int
    median: float | None
    mean: float | None
    similarity: float | None


@dataclass(frozen=True)
class KeypointErrors:
    """Each keypoint's error, and of how many persons.

    Attributes:
        keypoints: One a keypoint, in the skeleton's order.
        found: Persons that a result was matched with.
        persons: Persons that there were to be found.
    """

    keypoints: tuple[KeypointError, ...]
    found: int
    persons: int


def keypoint_errors(
    annotations: Annotations,
    results: Sequence[Mapping[str, Any]] | str | Path,
    *,
    skeleton: Skeleton = COCO,
) -> KeypointErrors:
    """The error of each keypoint, over the persons that COCOeval matches with a result at OKS 0.50.

    A person whom the results miss has no error, so the share found belongs to the figures: a network that
    finds only the easy ones errs little.

    Args:
        annotations: The ground truth.
        results: COCO keypoint results, or their file; see :func:`kdkit_pose.evaluation.coco_metrics`.
        skeleton: Names the keypoints and gives the OKS sigmas.

    Raises:
        DataError: A file cannot be read, or results do not fit the ground truth.
    """
    evaluation = evaluate_results(load_annotations(annotations, skeleton), results, skeleton)
    truths, found = evaluation.cocoGt.anns, evaluation.cocoDt.anns
    distances: list[Array] = []
    similarities: list[Array] = []
    persons = 0
    for judged in evaluation.evalImgs[: len(evaluation.params.imgIds)]:  # persons of any size
        if judged is None:
            continue
        persons += int(np.count_nonzero(np.asarray(judged["gtIgnore"]) == 0))
        matches = zip(judged["dtIds"], judged["dtMatches"][0], judged["dtIgnore"][0], strict=True)
        for result_id, truth_id, ignored in matches:
            if truth_id and not ignored:
                distance, similarity = _errors(truths[int(truth_id)], found[result_id], skeleton)
                distances.append(distance)
                similarities.append(similarity)
    table = np.array(distances).reshape(len(distances), skeleton.num_keypoints)
    likeness = np.array(similarities).reshape(table.shape)
    return KeypointErrors(
        tuple(
            _summarise(name, table[:, index], likeness[:, index]) for index, name in enumerate(skeleton.keypoints)
        ),
        found=len(distances),
        persons=persons,
    )


def _errors(truth: Mapping[str, Any], result: Mapping[str, Any], skeleton: Skeleton) -> tuple[Array, Array]:
    """Distance [K] in pixels of the picture and its OKS term [K]; NaN where the keypoint is not labelled."""
    expected = np.asarray(truth["keypoints"], dtype=np.float64).reshape(-1, 3)
    placed = np.asarray(result["keypoints"], dtype=np.float64).reshape(-1, 3)
    distance = np.hypot(*(placed[:, :2] - expected[:, :2]).T)
    distance = np.where(expected[:, 2] > 0, distance, np.nan)
    variance = (2 * np.asarray(skeleton.sigmas)) ** 2
    return distance, np.exp(-(distance**2) / (2 * variance * (truth["area"] + np.spacing(1))))


def _summarise(name: str, distance: Array, similarity: Array) -> KeypointError:
    labelled = np.isfinite(distance)
    if not labelled.any():
        return KeypointError(name, 0, None, None, None)
    return KeypointError(
        name,
        int(labelled.sum()),
        float(np.median(distance[labelled])),
        float(distance[labelled].mean()),
        float(similarity[labelled].mean()),
    )
