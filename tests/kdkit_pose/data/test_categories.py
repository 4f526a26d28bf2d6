"""A file's keypoints are not taken for COCO's where their names say that they are others."""

import pytest

from kdkit.errors import DataError
from kdkit_pose import CocoKeypoints
from kdkit_pose.data import read_skeleton
from kdkit_pose.evaluation import coco_metrics
from kdkit_pose.skeleton import COCO

SIDES = ("eye", "ear", "front_paw", "front_knee", "back_paw", "back_knee", "shoulder", "hip")
DOG = [*(f"{side}_{part}" for part in SIDES for side in ("left", "right")), "tail"]


def named(data, keypoints) -> dict:
    content = data.coco_dict()
    return {**content, "categories": [{"id": 1, "name": "body", "keypoints": list(keypoints)}]}


def test_as_many_keypoints_of_other_sides_are_refused(tiny_people):
    data = tiny_people()
    dogs = named(data, DOG)
    told = r"category 'body' has 17 keypoints \(left_eye, right_eye, left_ear, ...\), the skeleton 'coco'"
    with pytest.raises(DataError, match=told):
        CocoKeypoints(dogs, data.images, codec=data.codec)
    with pytest.raises(DataError, match=told):
        coco_metrics(dogs, [], boxes="ground truth")
    skeleton = read_skeleton(dogs, sigmas=[0.05] * 17)
    assert len(CocoKeypoints(dogs, data.images, codec=data.codec, skeleton=skeleton)) == len(data)
    assert coco_metrics(dogs, [], skeleton=skeleton, boxes="ground truth")["AP"] == 0


@pytest.mark.parametrize(
    "spell", [str.upper, lambda name: name.title().replace("_", " "), lambda name: name.replace("left_", "l-")]
)
def test_another_spelling_is_none(tiny_people, spell):
    data = tiny_people()
    respelt = named(data, map(spell, COCO.keypoints))
    assert len(CocoKeypoints(respelt, data.images, codec=data.codec)) == len(data)
    assert coco_metrics(respelt, [], boxes="ground truth")["AP"] == 0


def test_names_that_tell_nothing_are_believed(tiny_people):
    data = tiny_people()
    numbered = named(data, [f"point {number}" for number in range(17)])
    assert len(CocoKeypoints(numbered, data.images, codec=data.codec)) == len(data)
