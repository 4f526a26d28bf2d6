"""Forward kinematics: from a body's proportions and a pose to points in space, as the camera sees them.

Lengths are in body heights. Axes of the body: x to the person's left, y up, z ahead; of the camera: x to the
right, y up, z towards the viewer. The two agree for a person who faces the camera.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kdkit_pose.synthetic.pose import Pose

Array = NDArray[np.float64]


class Point(IntEnum):
    """Rows of a posed body's points: COCO's 17 keypoints in its order, then what drawing needs besides."""

    NOSE = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    LEFT_EAR = 3
    RIGHT_EAR = 4
    LEFT_SHOULDER = 5
    RIGHT_SHOULDER = 6
    LEFT_ELBOW = 7
    RIGHT_ELBOW = 8
    LEFT_WRIST = 9
    RIGHT_WRIST = 10
    LEFT_HIP = 11
    RIGHT_HIP = 12
    LEFT_KNEE = 13
    RIGHT_KNEE = 14
    LEFT_ANKLE = 15
    RIGHT_ANKLE = 16
    NECK = 17
    HEAD = 18
    LEFT_WAIST = 19
    RIGHT_WAIST = 20
    LEFT_HAND = 21
    RIGHT_HAND = 22
    LEFT_TOE = 23
    RIGHT_TOE = 24


# Directions, on a unit sphere, of nose, eyes and ears from the centre of the head.
FACE_DIRECTIONS = np.array(
    [[0.0, -0.12, 0.99], [0.40, 0.13, 0.91], [-0.40, 0.13, 0.91], [1.0, 0.0, -0.08], [-1.0, 0.0, -0.08]]
)
_FACE_STANDOFF = np.array([[1.10], [1.0], [1.0], [1.02], [1.02]])  # the nose stands out from the sphere


@dataclass(frozen=True)
class Body:
    """Proportions of a body, in body heights; `girth` multiplies every thickness."""

    torso: float = 0.28
    shoulders: float = 0.108
    hips: float = 0.068
    upper_arm: float = 0.165
    forearm: float = 0.145
    thigh: float = 0.235
    shin: float = 0.225
    head: tuple[float, float, float] = (0.054, 0.076, 0.064)
    girth: float = 1.0


@dataclass(frozen=True)
class PosedBody:
    """A body in a pose, in the camera's axes, in body heights from the pelvis.

    Attributes:
        points: [25, 3], rows as in `Point`.
        chest: [3, 3], columns are the chest's left, up and ahead.
        head: [3, 3], the same of the head.
        face_normals: [5, 3], outward normals at nose, eyes and ears.

    """

    points: Array
    chest: Array
    head: Array
    face_normals: Array


def sample_body(rng: np.random.Generator) -> Body:
    """Draw proportions about an adult's, sometimes a child's (larger head, shorter limbs)."""
    child = rng.random() < 0.15
    spread = 1.0 + 0.055 * rng.standard_normal(6).clip(-2, 2)
    limbs, head = (0.88, 1.28) if child else (1.0, 1.12)
    head *= spread[5]
    base = Body()
    return Body(
        torso=base.torso * spread[0],
        shoulders=base.shoulders * spread[1] * (0.92 if child else 1.0),
        hips=base.hips * spread[2],
        upper_arm=base.upper_arm * spread[3] * limbs,
        forearm=base.forearm * spread[3] * limbs,
        thigh=base.thigh * spread[4] * limbs,
        shin=base.shin * spread[4] * limbs,
        head=(base.head[0] * head, base.head[1] * head, base.head[2] * head),
        girth=float(np.clip(1.04 + 0.13 * rng.standard_normal(), 0.8, 1.4)),
    )


def posed_body(body: Body, pose: Pose, camera_pitch: float = 0.0) -> PosedBody:
    """Place every point of a body.

    Args:
        body: proportions.
        pose: joint angles and heading.
        camera_pitch: how far the camera looks down, in radians.

    """
    angle = pose.angles
    root = _turn_z(-pose.roll) @ _turn_x(camera_pitch) @ _turn_y(pose.heading) @ _turn_x(-angle["recline"])
    pelvis = root @ _turn_x(0.5 * angle["lean"])
    chest = root @ _turn_x(angle["lean"]) @ _turn_z(angle["side_bend"]) @ _turn_y(angle["twist"])
    head = chest @ _turn_y(angle["head_yaw"]) @ _turn_x(angle["head_pitch"]) @ _turn_z(angle["head_roll"])

    points = np.zeros((len(Point), 3))
    waist = pelvis[:, 1] * (0.42 * body.torso)
    neck = waist + chest[:, 1] * (0.58 * body.torso)
    centre = neck + chest @ (0.0, 0.045, 0.008) + head @ (0.0, 0.95 * body.head[1], 0.18 * body.head[2])
    points[Point.NECK], points[Point.HEAD] = neck, centre
    points[:5] = centre + (FACE_DIRECTIONS * _FACE_STANDOFF * body.head) @ head.T
    for side, sign in (("left", 1.0), ("right", -1.0)):
        right = int(side == "right")
        points[Point.LEFT_WAIST + right] = waist + chest[:, 0] * (sign * 0.42 * body.shoulders)
        arm = _arm(body, pose, chest, side, sign)
        points[[5 + right, 7 + right, 9 + right, Point.LEFT_HAND + right]] = neck + arm
        points[[11 + right, 13 + right, 15 + right, Point.LEFT_TOE + right]] = _leg(
            body, pose, (root, pelvis), side, sign
        )
    normals = FACE_DIRECTIONS / np.asarray(body.head)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return PosedBody(points, chest, head, normals @ head.T)


def _arm(body: Body, pose: Pose, chest: Array, side: str, sign: float) -> Array:
    """[4, 3]: shoulder, elbow, wrist and finger tips from the base of the neck."""
    angle = pose.angles
    upper = (
        chest
        @ _turn_z(sign * angle[f"{side}_shoulder_abduction"])
        @ _turn_x(-angle[f"{side}_shoulder_flexion"])
        @ _turn_y(-sign * angle[f"{side}_shoulder_rotation"])
    )
    lower = upper @ _turn_x(-angle[f"{side}_elbow"])
    shoulder = chest @ (sign * body.shoulders, -0.022, 0.0)
    elbow = shoulder - upper[:, 1] * body.upper_arm
    wrist = elbow - lower[:, 1] * body.forearm
    return np.stack([shoulder, elbow, wrist, wrist - lower[:, 1] * 0.045])


def _leg(body: Body, pose: Pose, frames: tuple[Array, Array], side: str, sign: float) -> Array:
    """[4, 3]: hip, knee, ankle and toes from the pelvis. `frames` are the root's and the pelvis's axes."""
    angle = pose.angles
    root, pelvis = frames
    # Legs hang from the root, not from the tilted pelvis: who bends over keeps the feet on the ground.
    thigh = (
        root
        @ _turn_z(sign * angle[f"{side}_hip_abduction"])
        @ _turn_x(-angle[f"{side}_hip_flexion"])
        @ _turn_y(sign * angle[f"{side}_hip_rotation"])
    )
    shin = thigh @ _turn_x(angle[f"{side}_knee"])
    hip = pelvis[:, 0] * (sign * body.hips)
    knee = hip - thigh[:, 1] * body.thigh
    ankle = knee - shin[:, 1] * body.shin
    return np.stack([hip, knee, ankle, ankle + shin @ (0.0, -0.028, 0.085)])


def _turn_x(angle: float) -> Array:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])


def _turn_y(angle: float) -> Array:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])


def _turn_z(angle: float) -> Array:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
