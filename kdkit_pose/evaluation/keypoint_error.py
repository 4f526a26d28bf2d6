"""How far off each keypoint is."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit_pose.data.categories import person_categories
from kdkit_pose.evaluation.annotations import Annotations, load_annotations
from kdkit_pose.evaluation.results import check_results, read_results
from kdkit_pose.skeleton import COCO, Skeleton

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KeypointError:
    """The error of one keypoint over the persons that have a result.

    Attributes:
        keypoint: Its name.
        labelled: In how many of these it is labelled.
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
        matched: Persons that a result was matched with.
        persons: Persons that there were: with a labelled keypoint, and no crowds.
    """

    keypoints: tuple[KeypointError, ...]
    matched: int
    persons: int


def keypoint_errors(
    annotations: Annotations,
    results: Sequence[Mapping[str, Any]] | str | Path,
    *,
    skeleton: Skeleton = COCO,
) -> KeypointErrors:
    """The error of each keypoint, over the persons that have a result.

    In each picture the result and the person of the highest OKS are a pair, then the next, until one of the
    two runs out, in each category by itself where persons are of several; however low the OKS, so that a bad
    network's errors show too. The results' scores play no part.

    Args:
        annotations: The ground truth.
        results: COCO keypoint results, or their file; see :func:`kdkit_pose.evaluation.coco_metrics`.
        skeleton: Names the keypoints and gives the OKS sigmas.

    Raises:
        DataError: A file cannot be read, or results do not fit the ground truth.
    """
    truth = load_annotations(annotations, skeleton)
    if isinstance(results, str | Path):
        source = f"results file {results}"
        results = read_results(results)
    else:
        source = "the results given"
    categories = person_categories(truth.dataset, "the ground truth")
    check_results(results, skeleton, truth.imgs.keys(), sorted(categories), source)
    found, there = _by_picture(results), _by_picture(filter(_is_to_be_found, truth.dataset["annotations"]))
    persons = sum(map(len, there.values()))
    pairs = [pair for place, ones in there.items() for pair in _pairs(ones, found.get(place, []), skeleton)]
    distances = np.array([distance for distance, _ in pairs]).reshape(len(pairs), skeleton.num_keypoints)
    similarities = np.array([similarity for _, similarity in pairs]).reshape(distances.shape)
    errors = (
        _summarise(name, distances[:, index], similarities[:, index])
        for index, name in enumerate(skeleton.keypoints)
    )
    return KeypointErrors(tuple(errors), matched=len(pairs), persons=persons)


def _is_to_be_found(annotation: Mapping[str, Any]) -> bool:
    return not annotation["iscrowd"] and any(v > 0 for v in annotation["keypoints"][2::3])


def _by_picture(ones: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], list[Mapping[str, Any]]]:
    """Persons or results by picture and category."""
    sorted_out: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    for one in ones:
        sorted_out[one["image_id"], one["category_id"]].append(one)
    return sorted_out


def _pairs(
    persons: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], skeleton: Skeleton
) -> list[tuple[Array, Array]]:
    """One picture's errors: distance and OKS term [K] of each person that has a result."""
    if not persons or not results:
        return []
    errors = [[_errors(person, result, skeleton) for result in results] for person in persons]
    oks = np.array([[np.nanmean(similarity) for _, similarity in row] for row in errors])
    pairs = []
    for _ in range(min(oks.shape)):
        person, result = np.unravel_index(int(oks.argmax()), oks.shape)
        pairs.append(errors[person][result])
        oks[person, :] = oks[:, result] = -1.0
    return pairs


def _errors(person: Mapping[str, Any], result: Mapping[str, Any], skeleton: Skeleton) -> tuple[Array, Array]:
    """Distance [K] in pixels of the picture and its OKS term [K]; NaN where the keypoint is not labelled."""
    expected = np.asarray(person["keypoints"], dtype=np.float64).reshape(-1, 3)
    placed = np.asarray(result["keypoints"], dtype=np.float64).reshape(-1, 3)
    distance = np.hypot(*(placed[:, :2] - expected[:, :2]).T)
    distance = np.where(expected[:, 2] > 0, distance, np.nan)
    variance = (2 * np.asarray(skeleton.sigmas)) ** 2
    return distance, np.exp(-(distance**2) / (2 * variance * (person["area"] + np.spacing(1))))


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
