"""The persons on whom two rows' students differ most, either way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Poses = Mapping[int, NDArray[np.float64]]
"""Keypoints [K, 3] (x and y in pixels of the picture, score) by annotation id."""


@dataclass(frozen=True)
class Person:
    """A person, and how two rows' students find them.

    Attributes:
        id: the annotation's.
        image_id: the picture's.
        labelled: labelled keypoints.
        plain, distilled: the OKS, means over seeds.
        seed: the one whose own difference is nearest to that of the means; its students are drawn.
    """

    id: int
    image_id: int
    labelled: int
    plain: float
    distilled: float
    seed: int

    @property
    def difference(self) -> float:
        """How much the distilled student is better by."""
        return self.distilled - self.plain

    def to_json(self, plain: str, distilled: str) -> dict[str, Any]:
        """Return it in plain JSON types, under the rows' names."""
        oks = {plain: round(self.plain, 6), distilled: round(self.distilled, 6)}
        shared = {"id": self.id, "image_id": self.image_id, "labelled": self.labelled, "seed": self.seed}
        return {**shared, "oks": oks, "difference": round(self.difference, 6)}


def person_oks(annotation: Mapping[str, Any], keypoints: NDArray[np.float64], sigmas: Sequence[float]) -> float:
    """Return COCO's object keypoint similarity of found keypoints [K, 3] to a person's labelled ones, in 0..1.

    Source: https://cocodataset.org/#keypoints-eval.
    """
    truth = np.asarray(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
    labelled = truth[:, 2] > 0
    distance = ((keypoints[:, :2] - truth[:, :2]) ** 2).sum(axis=1)
    variance = (2 * np.asarray(sigmas)) ** 2
    similarity = np.exp(-distance / (2 * variance * (annotation["area"] + np.spacing(1))))
    return float(similarity[labelled].mean())


def compared_persons(
    annotations: Sequence[Mapping[str, Any]],
    plain: Mapping[int, Poses],
    distilled: Mapping[int, Poses],
    sigmas: Sequence[float],
    least_labelled: int,
) -> list[Person]:
    """Return the persons that all students were shown and that have enough labels.

    Args:
        annotations: COCO's, of persons.
        plain, distilled: what each row's students found, by seed; the same seeds.
        sigmas: the skeleton's.
        least_labelled: labelled keypoints that a person must have.
    """
    persons = []
    for one in annotations:
        labelled = sum(visibility > 0 for visibility in one["keypoints"][2::3])
        shown = all(one["id"] in poses for found in (plain, distilled) for poses in found.values())
        if labelled < max(least_labelled, 1) or not shown:
            continue
        pairs = {
            seed: [person_oks(one, found[seed][one["id"]], sigmas) for found in (plain, distilled)]
            for seed in plain
        }
        first, second = np.mean(list(pairs.values()), axis=0).tolist()
        seed = min(pairs, key=lambda seed: (abs(pairs[seed][1] - pairs[seed][0] - (second - first)), seed))
        persons.append(Person(one["id"], one["image_id"], labelled, first, second, seed))
    return persons


def most_changed(persons: Sequence[Person], count: int) -> tuple[list[Person], list[Person]]:
    """Return the persons that the distilled student finds better and worse by most, the most first, equally many.

    They are fewer than ``count`` where fewer are changed either way.
    """
    ordered = sorted(persons, key=lambda person: (person.difference, person.id))
    lost = [person for person in ordered if person.difference < 0]
    gained = [person for person in ordered[::-1] if person.difference > 0]
    count = min(count, len(gained), len(lost))
    return gained[:count], lost[:count]
