"""Poses: joint angles of an articulated body, drawn from families such as walking or sitting."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

Ranges = Mapping[str, tuple[float, float]]

SIDED: Final = (
    "shoulder_flexion",  # forward
    "shoulder_abduction",  # away from the body
    "shoulder_rotation",  # about the upper arm; positive swings a bent forearm in front of the body
    "elbow",
    "hip_flexion",
    "hip_abduction",
    "hip_rotation",  # about the thigh; positive turns the foot outwards
    "knee",
)
UNSIDED: Final = ("recline", "lean", "side_bend", "twist", "head_pitch", "head_yaw", "head_roll")
ANGLES: Final = UNSIDED + tuple(f"{side}_{name}" for side in ("left", "right") for name in SIDED)


@dataclass(frozen=True)
class PoseFamily:
    """A named kind of pose: the range, in degrees, from which each joint angle is drawn.

    A key without a side (``elbow``) holds for both sides; one with a side (``left_elbow``) overrides it.
    Angles that are not named come from `NEUTRAL`.
    """

    name: str
    share: float
    ranges: Ranges

    def bounds(self) -> tuple[list[float], list[float]]:
        """Lower and upper bounds of all of `ANGLES`, in degrees."""
        merged = {**NEUTRAL, **self.ranges}
        pairs = [merged.get(angle, merged.get(angle.split("_", 1)[-1])) for angle in ANGLES]
        return [low for low, _ in filter(None, pairs)], [high for _, high in filter(None, pairs)]


NEUTRAL: Final[Ranges] = {
    "recline": (0, 0),
    "lean": (-5, 12),
    "side_bend": (-7, 7),
    "twist": (-14, 14),
    "head_pitch": (-15, 25),
    "head_yaw": (-45, 45),
    "head_roll": (-14, 14),
    "shoulder_flexion": (-18, 25),
    "shoulder_abduction": (4, 24),
    "shoulder_rotation": (-10, 45),
    "elbow": (5, 45),
    "hip_flexion": (-5, 10),
    "hip_abduction": (0, 11),
    "hip_rotation": (-5, 25),
    "knee": (0, 12),
}

FAMILIES: Final = (
    PoseFamily("standing", 0.20, {}),
    PoseFamily(
        "hands_on_hips",
        0.05,
        {
            "shoulder_abduction": (35, 52),
            "shoulder_flexion": (-15, 10),
            "shoulder_rotation": (55, 90),
            "elbow": (75, 105),
        },
    ),
    PoseFamily(
        "arms_before_body",
        0.07,
        {"shoulder_flexion": (15, 75), "shoulder_rotation": (20, 60), "elbow": (60, 130)},
    ),
    PoseFamily(
        "walking",
        0.16,
        {
            "left_hip_flexion": (14, 36),
            "right_hip_flexion": (-28, -6),
            "left_knee": (0, 22),
            "right_knee": (8, 45),
            "left_shoulder_flexion": (-38, -8),
            "right_shoulder_flexion": (12, 42),
            "elbow": (10, 55),
        },
    ),
    PoseFamily(
        "running",
        0.10,
        {
            "lean": (8, 24),
            "left_hip_flexion": (38, 82),
            "right_hip_flexion": (-32, 0),
            "left_knee": (50, 110),
            "right_knee": (8, 75),
            "left_shoulder_flexion": (-62, -25),
            "right_shoulder_flexion": (18, 58),
            "elbow": (65, 112),
        },
    ),
    PoseFamily(
        "sitting",
        0.12,
        {
            "lean": (-12, 24),
            "hip_flexion": (68, 98),
            "hip_abduction": (2, 24),
            "knee": (55, 105),
            "shoulder_flexion": (5, 55),
            "elbow": (15, 100),
        },
    ),
    PoseFamily(
        "arms_raised",
        0.07,
        {"shoulder_abduction": (105, 172), "shoulder_flexion": (-15, 15), "elbow": (0, 85)},
    ),
    PoseFamily(
        "one_arm_raised",
        0.06,
        {
            "left_shoulder_abduction": (80, 172),
            "left_shoulder_flexion": (-10, 35),
            "left_elbow": (0, 95),
        },
    ),
    PoseFamily(
        "astride",
        0.06,
        {
            "shoulder_abduction": (35, 105),
            "shoulder_flexion": (-20, 40),
            "hip_abduction": (12, 38),
            "knee": (0, 45),
            "hip_flexion": (0, 35),
        },
    ),
    PoseFamily(
        "crouching",
        0.05,
        {
            "lean": (10, 42),
            "hip_flexion": (80, 122),
            "hip_abduction": (3, 30),
            "knee": (85, 142),
            "shoulder_flexion": (20, 85),
            "elbow": (5, 90),
        },
    ),
    PoseFamily(
        "bending",
        0.03,
        {"lean": (45, 92), "hip_flexion": (2, 20), "knee": (0, 35), "shoulder_flexion": (25, 100)},
    ),
    PoseFamily(
        "reclining",
        0.03,
        {"recline": (50, 92), "hip_flexion": (0, 65), "knee": (5, 85), "shoulder_abduction": (5, 80)},
    ),
)
_SHARES: Final = np.cumsum([family.share for family in FAMILIES])
_BOUNDS: Final = {family.name: np.radians(np.asarray(family.bounds())) for family in FAMILIES}


@dataclass(frozen=True)
class Pose:
    """Joint angles and the direction a body faces, all in radians.

    Attributes:
        family: name of the family the pose was drawn from.
        angles: every one of `ANGLES`.
        heading: turn about the vertical; 0 faces the camera, +pi/2 faces picture right, pi shows the back.
        roll: turn in the picture plane.

    """

    family: str
    angles: Mapping[str, float]
    heading: float
    roll: float


def sample_pose(rng: np.random.Generator, family: str | None = None) -> Pose:
    """Draw a pose, of the given family or of a random one."""
    pick = int(np.searchsorted(_SHARES, rng.random() * _SHARES[-1], side="right"))
    name = FAMILIES[pick].name if family is None else family
    low, high = _BOUNDS[name]
    angles = dict(zip(ANGLES, (low + (high - low) * rng.random(len(ANGLES))).tolist(), strict=True))
    if rng.random() < 0.5:
        angles = mirrored(angles)
    return Pose(name, angles, _sample_heading(rng, name), math.radians(rng.normal(0.0, 5.0)))


def mirrored(angles: Mapping[str, float]) -> dict[str, float]:
    """The angles of the mirror image: sides exchanged, sideways turns of spine and head negated."""
    exchange = {"left": "right", "right": "left"}
    result = {}
    for name, angle in angles.items():
        side, _, rest = name.partition("_")
        result[f"{exchange[side]}_{rest}" if side in exchange else name] = angle
    for name in ("side_bend", "twist", "head_yaw", "head_roll"):
        result[name] = -angles[name]
    return result


def _sample_heading(rng: np.random.Generator, family: str) -> float:
    """Half of all people face the camera; a lying body is seen from its side, not from its soles."""
    kind, side = rng.random(), rng.choice((-1.0, 1.0))
    if kind < 0.3 or family == "reclining":
        return math.radians(side * rng.normal(90.0, 22.0))
    if kind < 0.53:
        return math.radians(180.0 + rng.normal(0.0, 32.0))
    return math.radians(rng.normal(0.0, 32.0))
