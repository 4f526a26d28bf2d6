"""A person placed in the picture: where each point of the body lies, and how large the body is there."""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Final

import numpy as np

from kdkit_pose.synthetic.appearance import Appearance
from kdkit_pose.synthetic.canvas import Array
from kdkit_pose.synthetic.kinematics import Body, PosedBody


class Part(IntEnum):
    """Parts of a body, told apart to find out what hides a joint; sided parts come left, then right."""

    HEAD = 0
    TORSO = 1
    LEFT_UPPER_ARM = 2
    RIGHT_UPPER_ARM = 3
    LEFT_FOREARM = 4
    RIGHT_FOREARM = 5
    LEFT_THIGH = 6
    RIGHT_THIGH = 7
    LEFT_SHIN = 8
    RIGHT_SHIN = 9


RIM_BRIGHTNESS: Final = 0.72  # of a part's rim, against its lit middle
MAX_PEOPLE: Final = 254 // len(Part)


def first_label(person: int) -> int:
    """The canvas label of a person's first part; part p has this plus p. Persons count from 0."""
    return 1 + person * len(Part)


@dataclass(frozen=True)
class Figure:
    """A posed body with its looks and its place.

    Attributes:
        body: proportions.
        posed: points in space.
        look: clothes and colours.
        family: name of the pose's family.
        origin: (x, y) of the pelvis, pixels of the picture.
        height: height of the body were it upright, pixels.
        distance: of the camera, in body heights; small distances exaggerate perspective.

    """

    body: Body
    posed: PosedBody
    look: Appearance
    family: str
    origin: tuple[float, float]
    height: float
    distance: float

    def magnification(self, points: Array) -> Array:
        """Pixels for a body height, [N], at points [N, 3] of the camera's axes."""
        return np.asarray(self.height * self.distance / (self.distance - points[:, 2]))

    def project(self, points: Array) -> Array:
        """Pixels [N, 2] of points [N, 3]."""
        flat = points[:, :2] * self.magnification(points)[:, None]
        flat[:, 1] *= -1.0
        return flat + self.origin

    @cached_property
    def pixels(self) -> Array:
        """[25, 2]: the body's points in pixels of the picture."""
        return self.project(self.posed.points)

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all points, with a margin for flesh, in pixels."""
        margin = 0.045 * self.height
        low, high = self.pixels.min(axis=0) - margin, self.pixels.max(axis=0) + margin
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def moved_to(self, x: float, y: float) -> "Figure":
        """The same figure with the centre of its box at (x, y)."""
        left, top, right, bottom = self.box
        place = (self.origin[0] + x - (left + right) / 2, self.origin[1] + y - (top + bottom) / 2)
        return replace(self, origin=place)
