import math
from dataclasses import replace

import numpy as np
import pytest

from kdkit_pose.synthetic.kinematics import Body, Point, posed_body, sample_body
from kdkit_pose.synthetic.pose import ANGLES, FAMILIES, Pose, mirrored, sample_pose

BONES = {
    (Point.LEFT_SHOULDER, Point.LEFT_ELBOW): "upper_arm",
    (Point.RIGHT_ELBOW, Point.RIGHT_WRIST): "forearm",
    (Point.LEFT_HIP, Point.LEFT_KNEE): "thigh",
    (Point.RIGHT_KNEE, Point.RIGHT_ANKLE): "shin",
}


def upright(**angles: float) -> Pose:
    return Pose("standing", {**dict.fromkeys(ANGLES, 0.0), **angles}, heading=0.0, roll=0.0)


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_bones_keep_their_lengths_in_every_pose(family: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        body = sample_body(rng)
        points = posed_body(body, sample_pose(rng, family), camera_pitch=0.2).points
        for (start, end), name in BONES.items():
            assert np.linalg.norm(points[end] - points[start]) == pytest.approx(getattr(body, name))


def test_upright_body_facing_the_camera() -> None:
    points = posed_body(Body(), upright()).points
    heights = points[[Point.NOSE, Point.LEFT_SHOULDER, Point.LEFT_HIP, Point.LEFT_KNEE, Point.LEFT_ANKLE], 1]
    assert (np.diff(heights) < 0).all()
    assert points[Point.LEFT_SHOULDER, 0] > 0 > points[Point.RIGHT_SHOULDER, 0]
    assert points[Point.NOSE, 2] > points[Point.LEFT_EAR, 2]


def test_turning_round_exchanges_the_sides_and_hides_the_face() -> None:
    posed = posed_body(Body(), replace(upright(), heading=math.pi))
    assert posed.points[Point.LEFT_SHOULDER, 0] < 0 < posed.points[Point.RIGHT_SHOULDER, 0]
    assert (posed.face_normals[:3, 2] < 0).all()


@pytest.mark.parametrize(
    ("angle", "joint", "axis", "sign"),
    [
        ("left_shoulder_abduction", Point.LEFT_WRIST, 0, 1),
        ("right_shoulder_abduction", Point.RIGHT_WRIST, 0, -1),
        ("left_shoulder_flexion", Point.LEFT_WRIST, 2, 1),
        ("right_elbow", Point.RIGHT_WRIST, 2, 1),
        ("left_hip_flexion", Point.LEFT_KNEE, 2, 1),
        ("right_knee", Point.RIGHT_ANKLE, 2, -1),
        ("lean", Point.NOSE, 2, 1),
    ],
)
def test_direction_in_which_each_joint_bends(angle: str, joint: Point, axis: int, sign: int) -> None:
    before, after = (posed_body(Body(), upright(**{angle: bend})).points for bend in (0.0, 0.8))
    assert sign * (after[joint, axis] - before[joint, axis]) > 0.05


def test_mirrored_twice_is_unchanged_and_once_is_the_mirror_image() -> None:
    pose = replace(sample_pose(np.random.default_rng(1), "running"), heading=0.0, roll=0.0)
    assert mirrored(mirrored(pose.angles)) == pose.angles
    points = posed_body(Body(), pose).points[:17]
    image = posed_body(Body(), replace(pose, angles=mirrored(pose.angles))).points[:17]
    exchanged = [0, *(joint + 1 if joint % 2 else joint - 1 for joint in range(1, 17))]
    np.testing.assert_allclose(image[exchanged] * (-1, 1, 1), points, atol=1e-12)
