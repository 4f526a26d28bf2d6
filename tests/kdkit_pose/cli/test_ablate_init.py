"""ablate --init."""

import json

import pytest

from kdkit_pose import models
from kdkit_pose.skeleton import CROWDPOSE

NET = "hrnet_w8_small"


@pytest.fixture(scope="module")
def mine(chain):
    options = ["--student", NET, *chain.data, "--val-annotations", chain.val, "--epochs", 2, "--evaluate-every", 2]
    return ["ablate", *options, "--rows", "plain_bce,plain_binary_bce", "--seeds", 0, "--cache-images"]


def test_rows_begin_from_the_file_and_learn_its_codec(mine, run, chain, tmp_path):
    run(*mine, "--init", chain.student("primary"), "--out", tmp_path / "study")
    assert len(json.loads((tmp_path / "study" / "study.json").read_text())["initial"]) == 64
    trained = models.load(tmp_path / "study" / "plain_binary_bce" / "seed-0" / "run" / "student.safetensors")
    assert trained.codec == models.load(chain.student("primary")).codec


def test_rows_whose_last_layer_is_another_are_refused(mine, fail, chain, tmp_path):
    rows = [*mine, "--rows", "plain,plain_binary_bce", "--init", chain.student("primary")]
    told = fail(*rows, "--out", tmp_path / "out")
    assert "plain learn heatmaps without a sigmoid, and the last layer of" in told
    assert not (tmp_path / "out").exists()


def test_what_is_read_is_not_written_over(mine, fail, chain, tmp_path):
    told = fail(*mine, "--json", chain.val, "--out", tmp_path / "out")
    assert "would replace --val-annotations, which is read" in told
    assert not (tmp_path / "out").exists()


def test_an_unknown_student_is_told_before_teachers_are_trained(fail, tmp_path):
    told = fail("ablate", "--synthetic", "small", "--student", "hrnet_w99", "--out", tmp_path / "out")
    assert "hrnet_w99" in told
    assert not (tmp_path / "out").exists()


def test_other_networks_are_refused_before_the_data_is_read(mine, fail, chain, tmp_path):
    wide, crowd = tmp_path / "wide.safetensors", tmp_path / "crowd.safetensors"
    models.save(models.create("hrnet_w16_small"), wide)
    models.save(models.create(NET, num_keypoints=14), crowd, **CROWDPOSE.to_metadata())
    for path, words in [
        (wide, f"--init '{wide}' holds hrnet_w16_small, and the student is {NET}: give a file of the student's"),
        (chain.student("senior"), "holds a network that reads masks, as no student does"),
        (crowd, f"'{crowd}' predicts 14 keypoints"),
    ]:
        assert words in fail(*mine, "--init", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    message = fail("ablate", "--synthetic", "small", "--init", wide, "--out", tmp_path / "out")
    assert "--init would change nothing" in message
