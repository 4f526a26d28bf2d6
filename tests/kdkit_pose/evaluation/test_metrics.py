import copy
import json

import numpy as np
import pytest
from pycocotools.coco import COCO as CocoDataset
from pycocotools.cocoeval import COCOeval

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.evaluation import coco_metrics, write_results
from kdkit_pose.skeleton import COCO, CROWDPOSE

KEYS = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]


def score(truth, results, **options):
    return coco_metrics(truth, results, boxes="ground truth", **options)


def test_perfect_results_score_one(truth, perfect):
    metrics = score(truth, perfect)
    assert list(metrics) == [*KEYS, "boxes"]
    assert all(metrics[key] == pytest.approx(1.0) for key in KEYS)
    assert metrics["boxes"] == "ground truth"


def test_figures_are_pycocotools_own(truth, perfect, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for result in perfect:
        result["keypoints"] = (np.array(result["keypoints"]) + rng.normal(0, 6, 51)).tolist()
        result["score"] = float(rng.uniform())
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    official = CocoDataset(str(tmp_path / "truth.json"))
    evaluation = COCOeval(official, official.loadRes(copy.deepcopy(perfect)), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    metrics = score(truth, perfect)
    assert [metrics[key] for key in KEYS] == evaluation.stats.tolist()
    assert 0 < metrics["AP"] < 1
    assert capsys.readouterr().out == ""


def test_file_content_and_data_set_score_alike_and_are_left_alone(truth, perfect, tmp_path):
    perfect[0]["keypoints"][0] += 30
    before = copy.deepcopy((truth, perfect))
    expected = score(truth, perfect)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    write_results(perfect, tmp_path / "results.json")
    data_set = CocoDataset(tmp_path / "truth.json")
    assert score(tmp_path / "truth.json", tmp_path / "results.json") == expected
    assert score(str(tmp_path / "truth.json"), str(tmp_path / "results.json")) == expected
    assert score(data_set, perfect) == expected
    assert (truth, perfect) == before
    assert data_set.dataset == truth


def test_no_results_score_nothing(truth):
    metrics = score(truth, [])
    assert all(metrics[key] == 0 for key in KEYS)


def test_figures_of_nobody_are_none(truth, perfect):
    for annotation in truth["annotations"]:
        annotation["area"] = 12000.0
    metrics = score(truth, perfect)
    assert metrics["APM"] is metrics["ARM"] is None
    assert metrics["APL"] == pytest.approx(1.0)
    assert json.loads(json.dumps(metrics))["APM"] is None


def test_num_keypoints_is_counted_where_absent(truth, perfect):
    expected = score(truth, perfect[:3])
    for annotation in truth["annotations"]:
        del annotation["num_keypoints"]
    assert score(truth, perfect[:3]) == expected


def test_sigmas_are_the_skeletons(truth, perfect):
    for entry in (*truth["annotations"], *perfect):
        entry["keypoints"] = entry["keypoints"][: 3 * 14]
    for annotation in truth["annotations"]:
        annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])
    assert score(truth, perfect, skeleton=CROWDPOSE)["AP"] == pytest.approx(1.0)
    with pytest.raises(DataError, match=r"42 keypoint numbers.*51.*coco"):
        score(truth, perfect, skeleton=COCO)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"image_id": 99}, "image 99"),
        ({"category_id": 2}, "category 2"),
        ({"keypoints": [1.0] * 50}, "51 numbers"),
        ({"keypoints": "all"}, "51 numbers"),
        ({"keypoints": [float("nan")] * 51}, "finite"),
        ({"score": float("inf")}, "finite"),
        ({"score": None}, "finite"),
    ],
)
def test_results_that_do_not_fit_are_refused(truth, perfect, change, match):
    with pytest.raises(DataError, match=f"result 1.*{match}"):
        score(truth, [perfect[0], {**perfect[1], **change}])


def test_results_without_a_field_are_refused(truth, perfect):
    del perfect[2]["score"]
    with pytest.raises(DataError, match="result 2 has no 'score'"):
        score(truth, perfect)
    with pytest.raises(DataError, match="result 0 has no 'image_id'"):
        score(truth, [17])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read: No such file"),
        ("", "not whole JSON"),
        ('[{"image_id": 7, "cat', "not whole JSON"),
        ('{"images": []}', "a JSON dict, expected a list"),
        (b"\xff\xfe\x00", "not whole JSON"),
    ],
)
def test_results_files_that_cannot_be_used_are_named(truth, tmp_path, content, match):
    path = tmp_path / "found.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"found.json.*{match}"):
        score(truth, path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read: No such file"),
        ('{"images": [', "not whole JSON"),
        ("[]", "no list of 'images'"),
        ('{"images": [], "categories": []}', "no list of 'annotations'"),
        ('{"images": [], "categories": [], "annotations": [{"id": 3}]}', "annotation 3 has no 'image_id'"),
    ],
)
def test_annotation_files_that_cannot_be_used_are_named(perfect, tmp_path, content, match):
    path = tmp_path / "truth.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=f"truth.json.*{match}"):
        score(path, perfect)


def test_unknown_box_sources_are_refused(truth, perfect):
    with pytest.raises(ConfigurationError, match="guessed"):
        coco_metrics(truth, perfect, boxes="guessed")


def test_two_annotations_of_one_id_are_refused(truth, perfect):
    truth["annotations"][1]["id"] = truth["annotations"][0]["id"]
    with pytest.raises(DataError, match="another has the same id"):
        coco_metrics(truth, perfect, boxes="ground truth")
