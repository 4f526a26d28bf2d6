"""Where scores are written: at a box, and over no other label."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass
class LabelPlaces:
    """Finds places for labels within a picture of ``size`` (width, height); all in its pixels."""

    size: tuple[int, int]
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def find(self, box: npt.NDArray[np.float64], extent: tuple[float, float]) -> tuple[float, float] | None:
        """The left and top of a label of ``extent`` (width, height) for the box [4], left, top, width, height.

        The first of the places at the box's corners where the label lies inside of the picture and over no
        earlier one; None if there is none.
        """
        width, height = extent
        for left, top in _corners(box, width, height):
            # A box may begin outside of the picture, a label must not.
            x = float(np.clip(left, 0, max(self.size[0] - width, 0)))
            y = float(np.clip(top, 0, max(self.size[1] - height, 0)))
            place = (x, y, x + width, y + height)
            if not any(_overlap(place, other) for other in self.taken):
                self.taken.append(place)
                return x, y
        return None


def _corners(box: npt.NDArray[np.float64], width: float, height: float) -> Iterator[tuple[float, float]]:
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    for x, y in (
        (left, top - height),
        (right - width, top - height),
        (left, bottom),
        (right - width, bottom),
        (left, top),
        (right - width, top),
    ):
        yield float(x), float(y)


def _overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
