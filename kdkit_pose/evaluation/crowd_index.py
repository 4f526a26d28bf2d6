"""CrowdPose's three levels of crowding: easy, medium and hard pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kdkit.errors import DataError

EASY_BELOW = 0.2
"""Pictures of a smaller crowd index are easy."""
HARD_FROM = 0.8
"""Pictures of this crowd index or a greater one are hard; those between are medium."""


@dataclass(frozen=True)
class CrowdLevels:
    """The ids of the pictures of each level; no picture is in two."""

    easy: frozenset[int]
    medium: frozenset[int]
    hard: frozenset[int]


def crowd_levels(images: Iterable[Mapping[str, Any]]) -> CrowdLevels | None:
    """The levels of pictures by the ``crowdIndex`` of their entries; None unless all have one.

    The index, in 0..1, is the mean share of others' keypoints in a person's box (CrowdPose, arXiv 1812.00324,
    section 4). The bounds are those of the data set's evaluation tool (crowdposetools, ``get_type_result`` with
    0.2 and 0.8), by which published figures are made.

    Raises:
        DataError: An index is no finite number.

    >>> crowd_levels([{"id": 1, "crowdIndex": 0.1}, {"id": 2, "crowdIndex": 0.8}])
    CrowdLevels(easy=frozenset({1}), medium=frozenset(), hard=frozenset({2}))
    """
    indices: dict[int, Any] = {image["id"]: image.get("crowdIndex") for image in images}
    if not indices or any(index is None for index in indices.values()):
        return None
    for image_id, index in indices.items():
        if not isinstance(index, int | float) or not -1e9 <= index <= 1e9:
            raise DataError(f"picture {image_id}: its crowdIndex must be a number, found {str(index)[:60]}")
    easy = frozenset(image_id for image_id, index in indices.items() if index < EASY_BELOW)
    hard = frozenset(image_id for image_id, index in indices.items() if index >= HARD_FROM)
    return CrowdLevels(easy, frozenset(indices) - easy - hard, hard)
