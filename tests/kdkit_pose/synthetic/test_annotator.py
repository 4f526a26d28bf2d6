import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from kdkit import ConfigurationError
from kdkit_pose import COCO, DARK, CocoKeypoints
from kdkit_pose.synthetic import Annotator, SyntheticPeople

SIZE = (320, 240)


@pytest.fixture(scope="module")
def exact():
    return SyntheticPeople(12, seed=3, size=SIZE).annotations()


def joints(content):
    return np.array([one["keypoints"] for one in content["annotations"]]).reshape(-1, 17, 3)


def test_joints_are_as_far_off_as_the_oks_constants_say(exact):
    persons = exact["annotations"]
    area = np.array([one["area"] for one in persons])
    known = joints(exact)[..., 2] > 0
    # Far from the border, where nothing is clipped.
    inside = (np.abs(joints(exact)[..., :2] - np.array(SIZE) / 2) < np.array(SIZE) * 0.4).all(-1)
    distances = []
    for seed in range(30):
        found = joints(Annotator(unlabelled=0, raggedness=0, seed=seed).annotate(exact))
        distances.append(np.linalg.norm(found[..., :2] - joints(exact)[..., :2], axis=-1))
    relative = np.array(distances) / (np.sqrt(area)[:, None] * np.array(COCO.sigmas))
    assert np.sqrt(np.mean(relative[:, known & inside] ** 2)) == pytest.approx(1, abs=0.03)


def test_a_quarter_is_left_out(exact):
    found = joints(Annotator().annotate(exact))
    before, after = joints(exact)[..., 2] > 0, found[..., 2] > 0
    assert not (after & ~before).any()
    assert after.sum() / before.sum() == pytest.approx(0.75, abs=0.05)
    assert not found[~after].any()
    counts = [one["num_keypoints"] for one in Annotator().annotate(exact)["annotations"]]
    assert counts == after.sum(1).tolist()


def test_masks_are_polygons_near_the_true_ones(exact):
    redone = Annotator(raggedness=0.04).annotate(exact)["annotations"]
    overlaps = []
    for before, after in zip(exact["annotations"], redone, strict=True):
        width, height = SIZE
        true = {**before["segmentation"], "counts": before["segmentation"]["counts"].encode()}
        drawn = coco_mask.merge(coco_mask.frPyObjects(after["segmentation"], height, width))
        overlaps.append(coco_mask.iou([drawn], [true], [0]).item())
        assert all(len(polygon) >= 6 for polygon in after["segmentation"])
    assert 0.75 < np.median(overlaps) < 0.97
    rougher = Annotator(raggedness=0.1).annotate(exact)["annotations"]
    corners = [sum(map(len, one["segmentation"])) for one in redone]
    assert np.sum(corners) > np.sum([sum(map(len, one["segmentation"])) for one in rougher])


def test_nothing_else_changes(exact):
    before = json.dumps(exact)
    redone = Annotator().annotate(exact)
    assert json.dumps(exact) == before
    for old, new in zip(exact["annotations"], redone["annotations"], strict=True):
        assert {key for key in old if old[key] != new[key]} <= {"keypoints", "num_keypoints", "segmentation"}
    assert "Annotator(jitter=1.0" in redone["info"]["annotator"]


def test_an_annotation_depends_on_seed_and_id_alone(exact):
    annotator = Annotator(seed=5)
    redone = annotator.annotate(exact)["annotations"]
    one = exact["annotations"][7]
    assert annotator.redo(one, *SIZE) == redone[7]
    assert annotator.redo({**one, "id": 10**6}, *SIZE)["keypoints"] != redone[7]["keypoints"]
    assert Annotator(seed=6).redo(one, *SIZE)["keypoints"] != redone[7]["keypoints"]
    # What is left out does not depend on how far joints are moved.
    still = Annotator(seed=5, jitter=0, raggedness=0).annotate(exact)
    assert (joints(still)[..., 2] == joints({"annotations": redone})[..., 2]).all()


def test_without_noise_it_is_the_same(exact):
    same = Annotator(jitter=0, unlabelled=0, raggedness=0).annotate(exact)
    assert same["annotations"] == exact["annotations"]


def test_it_can_be_trained_on(exact):
    people = SyntheticPeople(12, seed=3, size=SIZE)
    data = CocoKeypoints(Annotator().annotate(exact), people.picture, codec=DARK(input_size=(48, 64)))
    sample = data[0]
    assert 0 < float(sample["mask"].mean()) < 1
    assert sample["visible"].sum() > 0


@pytest.mark.parametrize("change", [{"jitter": -1.0}, {"unlabelled": 1.5}, {"raggedness": 1.0}, {"seed": -1}])
def test_what_cannot_be_is_refused(change):
    with pytest.raises(ConfigurationError):
        Annotator(**change)


def test_crowded_samples_outside_the_project_can_be_redone():
    path = Path(__file__).parents[4] / "shared/data/coco-pose-mini/annotations/person_keypoints_val2017.json"
    if not path.exists():
        pytest.skip("there is no coco-pose-mini beside the project")
    content = json.loads(path.read_text())
    content["annotations"] = [one for one in content["annotations"] if not one["iscrowd"]]
    redone = Annotator(raggedness=0).annotate(content)
    assert sum(one["num_keypoints"] for one in redone["annotations"]) < sum(
        one["num_keypoints"] for one in content["annotations"]
    )
