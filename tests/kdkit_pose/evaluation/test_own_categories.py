"""Ground truth whose persons are of another category than COCO's 1."""

from typing import Any

import pytest
import torch
from torch import nn

from kdkit.errors import DataError
from kdkit_pose.codecs import DARK
from kdkit_pose.data import CocoKeypoints, loader
from kdkit_pose.evaluation import Evaluator, coco_metrics, compare, keypoint_errors

from .test_evaluator import CODEC, Oracle, batches


@pytest.fixture
def own(truth: dict[str, Any]) -> dict[str, Any]:
    for annotation in truth["annotations"]:
        annotation["category_id"] = 5
    ball = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
    categories = [{"id": 2, "name": "ball"}, {"id": 5, "name": "person"}]
    return {**truth, "annotations": [*truth["annotations"], ball], "categories": categories}


def test_results_are_of_the_files_own_category_and_score(own):
    persons = {**own, "annotations": own["annotations"][:-1]}
    evaluator = Evaluator(batches(persons), own, CODEC, flip=False)
    results = evaluator.results(Oracle())
    assert {result["category_id"] for result in results} == {5}
    metrics = evaluator.metrics(Oracle())
    assert metrics["AP"] is not None
    assert metrics["AP"] > 0.99
    with pytest.raises(DataError, match=r"result 0 is of category 2, the ground truth has \[5\]"):
        coco_metrics(own, [{**results[0], "category_id": 2}], boxes="detector")


def test_several_categories_with_keypoints_cannot_be_told_apart(truth):
    names = [f"point {number}" for number in range(17)]
    truth["categories"] = [{"id": number, "name": f"kind {number}", "keypoints": names} for number in (1, 2)]
    with pytest.raises(DataError, match=r"2 categories with keypoints \(kind 1, kind 2\)"):
        Evaluator(batches(truth), truth, CODEC)
    # Results that say their category can be scored.
    assert coco_metrics(truth, [], boxes="detector")["AP"] == 0


def test_data_set_and_evaluator_agree_on_the_persons(own):
    class Black(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(image), 17, 8, 8)

    def draw(entry):
        return torch.zeros(entry["height"], entry["width"], 3, dtype=torch.uint8).numpy()

    data = CocoKeypoints(own, draw, codec=DARK(input_size=(32, 32)))
    assert len(data) == 5
    assert Evaluator(loader(data, 4), own, data.codec).metrics(Black())["AP"] is not None


def test_what_is_of_one_category_refuses_several(truth):
    names = [f"point {number}" for number in range(17)]
    truth["categories"] = [{"id": number, "name": f"kind {number}", "keypoints": names} for number in (1, 2)]
    with pytest.raises(DataError, match=r"2 categories of persons \(\[1, 2\]\)"):
        compare(truth, [], [], resamples=100)
    for image in truth["images"]:
        image["crowdIndex"] = 0.5
    with pytest.raises(DataError, match="2 categories of persons"):
        coco_metrics(truth, [], boxes="detector")


def test_errors_take_no_result_of_another_category(own, perfect):
    results = [{**one, "category_id": 5} for one in perfect]
    assert keypoint_errors({**own, "annotations": own["annotations"][:-1]}, results).matched == 5
    with pytest.raises(DataError, match=r"result 0 is of category 2, the ground truth has \[5\]"):
        keypoint_errors(own, [{**results[0], "category_id": 2}])


def test_errors_pair_within_a_category(truth, perfect):
    names = [f"point {number}" for number in range(17)]
    truth["categories"] = [{"id": number, "name": f"kind {number}", "keypoints": names} for number in (1, 2)]
    assert keypoint_errors(truth, [{**one, "category_id": 2} for one in perfect]).matched == 0
    assert keypoint_errors(truth, perfect).matched == 5


def test_who_is_not_said_to_be_a_crowd_is_none(truth, perfect):
    expected = coco_metrics(truth, perfect, boxes="detector")
    for annotation in truth["annotations"]:
        del annotation["iscrowd"]
    assert coco_metrics(truth, perfect, boxes="detector") == expected
    assert keypoint_errors(truth, perfect).persons == 5
    assert "iscrowd" not in truth["annotations"][0]
