"""--skeleton and --sigmas."""

import json
from pathlib import Path

import pytest

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.skeleton import COCO, CROWDPOSE

NAMES = ["nose", "left_ear", "right_ear"]
SIGMAS = [0.02, 0.03, 0.04]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Ground truth of keypoints of one's own, without sigmas."""
    person = {"id": 0, "image_id": 1, "category_id": 3, "iscrowd": 0, "bbox": [0, 0, 100, 100], "num_keypoints": 3}
    content = {
        "images": [{"id": 1, "width": 100, "height": 100, "crowdIndex": 0.9}],
        "annotations": [{**person, "keypoints": [50, 50, 2, 40, 40, 2, 60, 40, 2]}],
        "categories": [{"id": 3, "name": "head", "keypoints": NAMES}],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    found = {"image_id": 1, "category_id": 3, "keypoints": [51, 50, 1, 41, 40, 1, 61, 40, 1], "score": 0.5}
    path.write_text(json.dumps([found]))
    return path


def test_the_file_says_it_unless_the_option_does(truth: Path, tmp_path: Path) -> None:
    for name, known in (("coco", COCO), ("COCO", COCO), ("crowdpose", CROWDPOSE)):
        assert skeleton_of(truth, name) == known
    file = tmp_path / "skeleton.json"
    file.write_text(json.dumps({"categories": [{"id": 1, "name": "own", "keypoints": NAMES, "sigmas": SIGMAS}]}))
    assert skeleton_of(truth, str(file)).name == "own"
    assert skeleton_of(truth, None, "0.02,0.03,0.04").name == "head"


@pytest.mark.parametrize("text", ["0.02,0.03,0.04", "0.02 0.03, 0.04", "[0.02, 0.03, 0.04]"])
def test_sigmas_are_a_list_or_a_file(truth: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "sigmas").write_text(text + "\n")
    assert skeleton_of(truth, None, text).sigmas == skeleton_of(truth, None, str(tmp_path / "sigmas")).sigmas
    assert skeleton_of(truth, None, text).sigmas == tuple(SIGMAS)


def test_the_rough_choice(truth: Path) -> None:
    assert skeleton_of(truth, None, "coco-like").sigmas == (COCO.sigmas[0], COCO.sigmas[3], COCO.sigmas[4])


@pytest.mark.parametrize("text", ["a,b", "[1, 2", '{"a": 1}', "[[1]]", "0.1,0.2", "0,0,0", ""])
def test_sigmas_that_cannot_be_are_refused(truth: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="sigmas"):
        skeleton_of(truth, None, text)


def test_what_is_no_skeleton_is_named(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--skeleton 'mpii' must be coco, crowdpose"):
        skeleton_of(truth, "mpii")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match=r"list\.json"):
        skeleton_of(truth, str(tmp_path / "list.json"))


def test_score_asks_for_sigmas_and_takes_them(run, fail, truth: Path, results: Path, tmp_path: Path) -> None:
    arguments = ("score", "--annotations", truth, "--results", results, "--boxes", "ground truth")
    message = fail(*arguments)
    assert "'head' has 3 keypoints" in message
    assert "--sigmas" in message
    text = run(*arguments, "--sigmas", "0.05,0.05,0.05", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["AP"] == figures["AP_hard"] == pytest.approx(1)
    assert figures["AP_easy"] is None
    header = text.splitlines()[0].split()
    assert header == ["results", "AP", "AP50", "AP75", "AP_easy", "AP_medium", "AP_hard", "AR", "AR50", "AR75"]
    table, _, written = text.partition("written: ")
    assert all(len(line) <= 80 for line in table.splitlines())
    assert written.strip() == str(tmp_path / "figures.json")
    run(*arguments, "--sigmas", "0.001,0.001,0.001", "--json", tmp_path / "strict.json")
    assert json.loads((tmp_path / "strict.json").read_text())["AP"] < 1


def test_score_of_another_skeleton_is_refused(fail, truth: Path, results: Path) -> None:
    told = fail(
        "score", "--annotations", truth, "--results", results, "--boxes", "ground truth", "--skeleton", "coco"
    )
    assert "category 'head' has 3 keypoints" in told
    assert "the skeleton 'coco' has 17" in told
    assert "without --skeleton" in told
