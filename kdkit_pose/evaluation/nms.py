"""Leaving out poses that say again what a better one said."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Person = TypeVar("Person", bound=Mapping[str, Any])


def pairwise_oks(points: Array, areas: Array, sigmas: Sequence[float]) -> Array:
    """The object keypoint similarity [N, N] in 0..1 between N predictions.

    ``points`` [N, K, 2] and ``areas`` [N] are in pixels of the picture; all keypoints count, whatever their
    scores, and a pair's area is the mean of the two. Source: https://cocodataset.org/#keypoints-eval, with
    the changes that the HRNet reference's ``oks_iou`` makes for predictions.
    """
    variances = (2 * np.asarray(sigmas, dtype=np.float64)) ** 2
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    area = (areas[:, None] + areas[None]) / 2 + np.spacing(1)
    similarity: Array = np.exp(-distance / (2 * variances * area[..., None])).mean(axis=-1)
    return similarity


def oks_nms(persons: Sequence[Person], sigmas: Sequence[float], threshold: float = 0.9) -> list[Person]:
    """Go through each picture's poses from the best ``score`` on, dropping all that are too like one that
    stays.

    Args:
        persons: Results with ``image_id``, ``keypoints`` (x, y, score for each of K), ``score`` and ``scale``
            (width and height of the crop, whose product is the person's area), as :func:`predict` gives them.
        sigmas: The skeleton's, [K].
        threshold: Two poses are too alike if their OKS is above it.

    Returns:
        Those that stay, in the order given. Equal scores favour the earlier.
    """
    order = sorted(range(len(persons)), key=lambda index: persons[index]["image_id"])
    kept: list[int] = []
    for _, group in groupby(order, key=lambda index: persons[index]["image_id"]):
        indices = list(group)
        kept.extend(indices[row] for row in _survivors([persons[i] for i in indices], sigmas, threshold))
    return [persons[index] for index in sorted(kept)]


def _survivors(persons: Sequence[Mapping[str, Any]], sigmas: Sequence[float], threshold: float) -> list[int]:
    points = np.array([person["keypoints"] for person in persons], dtype=np.float64)
    points = points.reshape(len(persons), -1, 3)[..., :2]
    areas = np.array([np.prod(person["scale"]) for person in persons], dtype=np.float64)
    alike = pairwise_oks(points, areas, sigmas) > threshold
    alive = np.ones(len(persons), dtype=bool)
    survivors = []
    for row in np.argsort([-person["score"] for person in persons], kind="stable"):
        if alive[row]:
            survivors.append(int(row))
            alive &= ~alike[row]
    return survivors
