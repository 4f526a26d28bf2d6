"""CrowdPose's levels and its figures; the tool itself gives the same to the bit (its levels rounded)."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdkit.errors import DataError
from kdkit_pose.evaluation import coco_metrics, crowd_levels
from kdkit_pose.skeleton import CROWDPOSE

INDICES = st.lists(st.floats(0, 1) | st.sampled_from([0.1, 0.2, 0.8]), min_size=1)
LEVELS = ("AP_easy", "AP_medium", "AP_hard")


@given(INDICES)
def test_levels_partition_the_pictures_by_the_tools_bounds(indices):
    levels = crowd_levels([{"id": place, "crowdIndex": index} for place, index in enumerate(indices)])
    assert levels is not None
    parts = (levels.easy, levels.medium, levels.hard)
    assert sorted(place for part in parts for place in part) == list(range(len(indices)))
    for part, (low, high) in zip(parts, ((0, 0.2), (0.2, 0.8), (0.8, 2)), strict=True):
        assert all(low <= indices[place] < high for place in part)


def test_levels_need_every_pictures_index():
    assert crowd_levels([]) is None
    assert crowd_levels([{"id": 1}]) is None
    assert crowd_levels([{"id": 1, "crowdIndex": 0.1}, {"id": 2}]) is None


@pytest.mark.parametrize("index", ["0.5", float("nan"), float("inf"), [0.1]])
def test_an_index_that_is_no_number_is_named(index):
    with pytest.raises(DataError, match="picture 2: its crowdIndex must be a number"):
        crowd_levels([{"id": 1, "crowdIndex": 0.1}, {"id": 2, "crowdIndex": index}])


def crowd(seed: int, pictures: int = 30) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth laid out as CrowdPose's, without areas, and noisy results."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    results = []
    for picture in range(pictures):
        for _ in range(rng.integers(1, 6)):
            box = rng.uniform([0, 0, 40, 60], [300, 200, 200, 280])
            visible = rng.integers(0, 3, 14)
            points = rng.uniform(box[:2], box[:2] + box[2:], (14, 2))
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": picture,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": box.tolist(),
                    "num_keypoints": int((visible == 2).sum()),
                    "keypoints": np.column_stack([points, visible]).ravel().tolist(),
                }
            )
            found = points + rng.normal(0, rng.uniform(0, 0.06) * np.sqrt(box[2] * box[3]), (14, 2))
            keypoints = np.column_stack([found, np.ones(14)]).ravel().tolist()
            results.append(
                {"image_id": picture, "category_id": 1, "keypoints": keypoints, "score": float(rng.random())}
            )
    images = [{"id": picture, "crowdIndex": float(rng.random())} for picture in range(pictures)]
    categories = [{"id": 1, "name": "person", "keypoints": list(CROWDPOSE.keypoints)}]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def score(truth: dict[str, Any], results: list[dict[str, Any]]) -> Any:
    return coco_metrics(truth, results, skeleton=CROWDPOSE, boxes="ground truth")


@pytest.mark.parametrize("seed", range(3))
def test_a_levels_ap_is_that_of_its_pictures_alone(seed):
    truth, results = crowd(seed)
    metrics = score(truth, results)
    levels = crowd_levels(truth["images"])
    assert levels is not None
    for name, ids in zip(LEVELS, (levels.easy, levels.medium, levels.hard), strict=True):
        part = {
            "images": [image for image in truth["images"] if image["id"] in ids],
            "annotations": [one for one in truth["annotations"] if one["image_id"] in ids],
            "categories": truth["categories"],
        }
        alone = score(part, [result for result in results if result["image_id"] in ids])
        assert metrics[name] == pytest.approx(alone["AP"])
        assert 0 < metrics[name] < 1
    assert len({metrics[name] for name in LEVELS}) == 3


def test_the_area_is_that_share_of_the_box_which_the_tool_takes_and_has_no_sizes():
    truth, results = crowd(5)
    stated = copy.deepcopy(truth)
    for annotation in stated["annotations"]:
        annotation["area"] = 0.53 * annotation["bbox"][2] * annotation["bbox"][3]
    of_boxes, of_areas = score(truth, results), score(stated, results)
    for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75", *LEVELS):
        assert of_boxes[name] == of_areas[name]
    assert of_boxes["APM"] is of_boxes["APL"] is of_boxes["ARM"] is of_boxes["ARL"] is None
    assert of_areas["APL"] is not None
    wider = copy.deepcopy(truth)
    for annotation in wider["annotations"]:
        annotation["bbox"][2] *= 4
    assert score(wider, results)["AP"] > of_boxes["AP"]


def test_without_an_index_there_are_no_levels_and_with_one_but_nobody_they_are_none():
    truth, results = crowd(6)
    for image in truth["images"]:
        image["crowdIndex"] = 0.5
    metrics = score(truth, results)
    assert metrics["AP_easy"] is metrics["AP_hard"] is None
    assert metrics["AP_medium"] == metrics["AP"]
    for image in truth["images"]:
        del image["crowdIndex"]
    assert not set(LEVELS) & set(score(truth, results))


def test_ids_that_begin_at_0_score_as_others_do():
    truth, results = crowd(7)
    assert truth["annotations"][0]["id"] == 0
    later = copy.deepcopy(truth)
    for annotation in later["annotations"]:
        annotation["id"] += 100
    assert score(truth, results) == score(later, results)
