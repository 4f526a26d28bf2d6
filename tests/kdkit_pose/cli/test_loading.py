"""Networks for the command line: what is known of them, and what contradicts it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit_pose import codecs, models
from kdkit_pose.cli.loading import check_codec, check_skeleton, load_network
from kdkit_pose.codecs import DARK
from kdkit_pose.skeleton import COCO, CROWDPOSE

NET = "hrnet_w8_small"
CODEC = DARK(input_size=(96, 128), decoder="centroid")


@pytest.fixture(scope="module")
def network():
    return models.create(NET)


@pytest.fixture
def student(network, tmp_path):
    models.save(network, tmp_path / "student.safetensors", **CODEC.to_metadata(), **COCO.to_metadata())
    return tmp_path / "student.safetensors"


@pytest.fixture
def bare(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    return tmp_path / "bare.pth"


def test_a_student_says_all_of_itself(student, network):
    loaded = load_network(student, None, "none", "--model")
    assert models.describe(loaded.network) == models.describe(network)
    assert (loaded.codec, loaded.skeleton) == (CODEC, COCO)
    assert loaded.report.path == student


@pytest.mark.parametrize("model", [None, NET])
def test_a_file_from_elsewhere_needs_no_name(bare, network, model):
    loaded = load_network(bare, model, "none", "--model")
    assert torch.equal(loaded.network.conv1.weight, network.conv1.weight)
    assert (loaded.codec, loaded.skeleton) == (None, None)


def test_the_number_of_keypoints_is_the_files(tmp_path):
    path = tmp_path / "crowd.pth"
    torch.save(models.create(NET, 14).state_dict(), path)
    for model in (None, NET):
        assert load_network(path, model, "none", "--model").network.num_keypoints == 14


@pytest.mark.parametrize("fusion", ["concat", "add", "multiply"])
def test_the_mask_fusion_is_the_files_or_the_options(tmp_path, fusion):
    senior = models.create(NET, mask_fusion=fusion)
    torch.save(senior.state_dict(), tmp_path / "senior.pth")
    models.save(senior, tmp_path / "senior.safetensors")
    for model in (None, NET):
        for path, asked in (("senior.pth", fusion), ("senior.safetensors", "none")):
            loaded = load_network(tmp_path / path, model, asked, "--model")
            assert loaded.network.mask_fusion.name == fusion
        if fusion != "multiply":
            loaded = load_network(tmp_path / "senior.pth", model, "none", "--model")
            assert loaded.network.mask_fusion.name == fusion


@pytest.mark.parametrize("asked", ["multiply", "add"])
def test_another_mask_fusion_than_the_files_is_refused(tmp_path, asked):
    models.save(models.create(NET, mask_fusion="concat"), tmp_path / "senior.safetensors")
    with pytest.raises(CheckpointError, match=r"senior.safetensors.*mask fusion 'concat'"):
        load_network(tmp_path / "senior.safetensors", None, asked, "--model")


def test_another_name_than_the_files_is_refused(bare, student):
    for path in (bare, student):
        with pytest.raises(
            CheckpointError, match=r"this file is a small HRNet-W8, the network built is HRNet-W16"
        ):
            load_network(path, "hrnet_w16", "none", "--model")
        with pytest.raises(ConfigurationError, match="no model is called 'hrnet'"):
            load_network(path, "hrnet", "none", "--model")


def test_a_file_of_no_known_network_asks_for_the_option(tmp_path):
    torch.save({"fc1.weight": torch.zeros(2, 2)}, tmp_path / "mlp.pth")
    with pytest.raises(CheckpointError, match=r"mlp.pth is of no network.*fc1.weight.*--primary-model"):
        load_network(tmp_path / "mlp.pth", None, "none", "--primary-model")


def test_nothing_known_contradicts_nothing(bare):
    check_codec(CODEC, None, bare)
    check_skeleton(load_network(bare, None, "none", "--model"), COCO)


def test_only_the_decoder_is_free(student):
    check_codec(CODEC, CODEC, student)
    check_codec(replace(CODEC, decoder="peak"), CODEC, student)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (codecs.create("msra", (96, 128)), "--codec dark, not msra.*leave --codec out$"),
        (codecs.create("udp", (96, 128)), "--codec dark, not udp"),
        (replace(CODEC, sigma=3.0), "--sigma 2, not 3.*leave --sigma out"),
        (replace(CODEC, input_size=(192, 256)), "--input-size 128x96, not 256x192.*leave --input-size out"),
        (
            codecs.create("msra", (96, 96), 1.5),
            "--codec.*--input-size.*--sigma.*leave --codec, --input-size, --sigma",
        ),
    ],
)
def test_a_codec_that_contradicts_the_files_is_refused(student, asked, words):
    with pytest.raises(ConfigurationError, match=f"student.safetensors' says that it was trained for {words}"):
        check_codec(asked, CODEC, student)
    with pytest.raises(ConfigurationError, match=r"out, or insist with --force-codec$"):
        check_codec(asked, CODEC, student, "insist with --force-codec")


def test_another_number_of_keypoints_is_refused(student):
    loaded = load_network(student, None, "none", "--model")
    with pytest.raises(ConfigurationError, match=r"student.safetensors' predicts 17 keypoints, crowd.json has 14"):
        check_skeleton(loaded, CROWDPOSE, "crowd.json")


def test_other_keypoints_of_the_same_number_are_refused(student):
    loaded = load_network(student, None, "none", "--model")
    names = list(COCO.keypoints)
    names[9:11] = ["left_paw", "right_paw"]
    check_skeleton(loaded, replace(COCO, name="persons"))
    with pytest.raises(
        ConfigurationError, match=r"of coco, the data has those of cats: number 10 is 'left_wrist'"
    ):
        check_skeleton(loaded, replace(COCO, name="cats", keypoints=tuple(names)))


@pytest.fixture
def mmpose(network, tmp_path):
    """Writes a file of mmpose 1.x that lists keypoints."""

    def write(names):
        state = {
            ("head." if key.startswith("final_layer.") else "backbone.") + key: value
            for key, value in network.state_dict().items()
        }
        meta = {"dataset_meta": {"keypoint_id2name": dict(enumerate(names))}}
        torch.save({"meta": meta, "state_dict": state}, tmp_path / "mmpose.pth")
        return tmp_path / "mmpose.pth"

    return write


def test_keypoints_of_no_known_skeleton_are_compared_too(mmpose):
    names = tuple(f"animal_{index}" for index in range(17))
    loaded = load_network(mmpose(names), None, "none", "--model")
    assert (loaded.skeleton, loaded.keypoints) == (None, names)
    with pytest.raises(
        ConfigurationError,
        match=r"mmpose.pth' was trained for the keypoints that it lists.*number 1 is 'animal_0'",
    ):
        check_skeleton(loaded, COCO)
    check_skeleton(loaded, replace(COCO, name="animal", keypoints=names))
    listed = load_network(mmpose(names[:3]), None, "none", "--model")
    with pytest.raises(ConfigurationError, match="there are 3 there and 17 here"):
        check_skeleton(listed, COCO)


def test_known_keypoints_of_mmpose_are_a_skeleton(mmpose):
    loaded = load_network(mmpose(COCO.keypoints), None, "none", "--model")
    assert loaded.skeleton == COCO
    check_skeleton(loaded, COCO)


def test_other_flip_pairs_are_refused(network, tmp_path):
    names = tuple(f"point_{index}" for index in range(17))
    pairs = ((1, 2), (3, 4))
    skeleton = replace(COCO, name="points", keypoints=names, flip_pairs=pairs)
    models.save(network, tmp_path / "points.safetensors", **skeleton.to_metadata())
    loaded = load_network(tmp_path / "points.safetensors", None, "none", "--model")
    check_skeleton(loaded, replace(skeleton, flip_pairs=((4, 3), (2, 1))))
    with pytest.raises(
        ConfigurationError,
        match=r"points.safetensors' was trained with other flip pairs than x.json has: in a mirror 'point_3'"
        r" becomes 'point_4' there and 'point_3' here",
    ):
        check_skeleton(loaded, replace(skeleton, flip_pairs=((1, 2),)), "x.json")


def test_no_skeleton_is_assumed_against_the_listed_keypoints(mmpose, fail, tmp_path):
    path = mmpose(tuple(f"animal_{index}" for index in range(17)))
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((8, 8, 3), dtype=np.uint8))
    export = ("export", "--checkpoint", path, "--format", "safetensors", "--codec", "msra")
    assert "'animal_0' there and 'nose' here" in fail(*export, "--out", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
    predict = ("predict", "--checkpoint", path, tmp_path / "picture.png")
    assert "'animal_0' there and 'nose' here" in fail(*predict, "--out", tmp_path / "predictions")
