"""Properties of what is said about each person in the pictures."""

from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from kdkit_pose.synthetic import SyntheticPeople, SyntheticPicture

# pycocotools 2.0.11 does not yet know numpy 2's `copy` keyword.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Person = dict[str, Any]


@pytest.fixture(scope="module")
def separate() -> list[SyntheticPicture]:
    return list(SyntheticPeople(60, seed=5, crowded=0.0))


@pytest.fixture(scope="module")
def crowds() -> list[SyntheticPicture]:
    return list(SyntheticPeople(60, seed=5, crowded=1.0))


@pytest.fixture(scope="module")
def everyone(separate: list[SyntheticPicture], crowds: list[SyntheticPicture]) -> list[Person]:
    return [person for picture in separate + crowds for person in picture.annotations]


def joints_of(person: Person) -> NDArray[np.float64]:
    return np.asarray(person["keypoints"], float).reshape(17, 3)


def distance_to_mask(person: Person, joints: NDArray[np.float64]) -> NDArray[np.float64]:
    away = cv2.distanceTransform(1 - coco_mask.decode(person["segmentation"]), cv2.DIST_L2, 5)
    columns, rows = np.rint(joints[:, :2]).astype(int).T
    return away[rows, columns]


def largest_box_iou(picture: SyntheticPicture) -> float:
    boxes = [person["bbox"] for person in picture.annotations]
    return max((float(coco_mask.iou([a], [b], [0])[0, 0]) for a, b in combinations(boxes, 2)), default=0.0)


def test_box_and_area_are_those_of_the_mask(everyone: list[Person]) -> None:
    for person in everyone:
        rows, columns = np.nonzero(coco_mask.decode(person["segmentation"]))
        left, top, width, height = person["bbox"]
        assert person["area"] == len(rows)
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)


def test_keypoints_are_in_the_picture_or_blank(everyone: list[Person]) -> None:
    for person in everyone:
        joints = joints_of(person)
        labelled = joints[:, 2] > 0
        height, width = person["segmentation"]["size"]
        assert person["num_keypoints"] == labelled.sum()
        assert (joints[labelled, :2] >= 0).all()
        assert (joints[labelled, :2] <= (width - 1, height - 1)).all()
        assert (joints[~labelled] == 0).all()
        assert set(joints[:, 2]) <= {0, 1, 2}


def test_visible_joints_lie_on_the_person(everyone: list[Person]) -> None:
    distances = [distance_to_mask(person, joints_of(person)[joints_of(person)[:, 2] == 2]) for person in everyone]
    assert np.mean(np.concatenate(distances) <= 2.0) > 0.99


def test_joints_hidden_by_others_lie_off_the_visible_region(crowds: list[SyntheticPicture]) -> None:
    people = [person for picture in crowds for person in picture.annotations]
    hidden = [joints_of(person)[joints_of(person)[:, 2] == 1] for person in people]
    distances = [distance_to_mask(person, joints) for person, joints in zip(people, hidden, strict=True)]
    assert np.mean(np.concatenate(distances) > 0) > 0.3


def test_every_keypoint_is_seen_hidden_and_left_out(everyone: list[Person]) -> None:
    flags = np.stack([joints_of(person)[:, 2] for person in everyone])
    for flag in (0, 1, 2):
        assert (flags == flag).any(axis=0).all()
    assert (flags == 2).mean() > 0.5


def test_masks_of_a_picture_are_disjoint(crowds: list[SyntheticPicture]) -> None:
    for picture in crowds:
        masks = [coco_mask.decode(person["segmentation"]) for person in picture.annotations]
        assert np.sum(masks, axis=0).max() <= 1


def test_crowded_pictures_overlap_more(separate: list[SyntheticPicture], crowds: list[SyntheticPicture]) -> None:
    assert np.median([largest_box_iou(picture) for picture in crowds]) > 0.35
    assert max(largest_box_iou(picture) for picture in separate) < 0.2


def test_boxes_in_crowds_hold_joints_of_others(crowds: list[SyntheticPicture]) -> None:
    def foreign_joints(picture: SyntheticPicture, person: Person) -> int:
        left, top, width, height = person["bbox"]
        others = [joints_of(other) for other in picture.annotations if other is not person]
        x, y, flag = np.concatenate([np.zeros((0, 3)), *others]).T
        inside = (x >= left) & (x <= left + width) & (y >= top) & (y <= top + height)
        return int((inside & (flag == 2)).sum())

    counts = [foreign_joints(picture, person) for picture in crowds for person in picture.annotations]
    assert np.mean(counts) > 3


def test_every_picture_holds_someone_with_keypoints(
    separate: list[SyntheticPicture], crowds: list[SyntheticPicture]
) -> None:
    for picture in separate + crowds:
        assert any(person["num_keypoints"] > 0 for person in picture.annotations)
