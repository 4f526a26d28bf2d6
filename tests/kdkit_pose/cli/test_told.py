"""What train, distill and evaluate say of the heatmaps and masks they use, and what they refuse."""

import json

import pytest

from kdkit_pose import codecs, models
from kdkit_pose.codecs import MSRA


@pytest.fixture
def unmasked(chain, tmp_path):
    """The validation file without its masks."""
    content = chain.content()
    for person in content["annotations"]:
        del person["segmentation"]
    (tmp_path / "unmasked.json").write_text(json.dumps(content))
    return tmp_path / "unmasked.json"


@pytest.fixture
def half_masked(chain, tmp_path):
    content = chain.content()
    for person in content["annotations"][::2]:
        del person["segmentation"]
    (tmp_path / "half.json").write_text(json.dumps(content))
    return tmp_path / "half.json"


def test_training_goes_on_with_the_checkpoints_codec(chain, run, tmp_path, small_network):
    start, out = tmp_path / "msra.safetensors", tmp_path / "run"
    models.save(small_network(), start, **MSRA(input_size=(64, 64)).to_metadata())
    options = ["--model", "hrnet_w8_small", *chain.data, "--epochs", 1, "--checkpoint", start]
    text = run("train", *options, "--out", out)
    assert f"heatmaps: MSRA(64x64, sigma 2, decoder peak) (as {start} says)" in text
    written = codecs.from_metadata(models.read_metadata(out / "student.safetensors"))
    assert written == MSRA(input_size=(64, 64))
    config = json.loads((out / "config.json").read_text())
    assert "msra" in json.dumps(config)
    text = run("train", *options, "--codec", "udp", "--out", tmp_path / "other")
    assert "heatmaps: UDP(64x64, " in text
    assert "was trained for MSRA" in text


def test_a_network_that_reads_masks_is_not_shown_only_ones(chain, run, fail, unmasked, half_masked, tmp_path):
    senior = ["--checkpoint", chain.student("senior"), "--images", chain.images]
    message = fail("evaluate", *senior, "--annotations", unmasked)
    assert "--predicted-masks" in message
    assert str(chain.student("senior")) in message
    details = tmp_path / "details.json"
    text = run("evaluate", *senior, "--annotations", half_masked, "--details", details)
    people = sum(one["num_keypoints"] > 0 for one in json.loads(half_masked.read_text())["annotations"])
    ones = json.loads(details.read_text())["masks of ones"]
    assert 0 < ones < people
    assert f"masks of ones for {ones} of {people} persons" in text
    # A network that reads none does not care.
    run("evaluate", "--checkpoint", chain.student("primary"), "--images", chain.images, "--annotations", unmasked)


def test_nothing_is_trained_on_masks_of_ones(chain, fail, unmasked, tmp_path):
    net = ["--model", "hrnet_w8_small", "--mask-fusion", "concat", "--out", tmp_path / "run"]
    files = ["--images", chain.images, "--batch-size", 4, "--epochs", 2, "--input-size", "64x64"]
    message = fail("train", *net, *files, "--train-annotations", unmasked)
    assert "hrnet_w8_small reads each person's mask" in message
    message = fail("train", *net, *files, "--train-annotations", chain.val, "--val-annotations", unmasked)
    assert "--val-predicted-masks" in message
    teachers = ["--primary", chain.student("primary"), "--senior", chain.student("senior")]
    odkd = ["distill", "--student", "hrnet_w8_small", *teachers, *files[:6], "--out", tmp_path / "run"]
    assert "the senior teacher" in fail(*odkd, "--train-annotations", unmasked)
    message = fail(*odkd, "--train-annotations", chain.val, "--val-annotations", unmasked)
    assert "--val-predicted-masks" in message
    assert not (tmp_path / "run").exists()


def test_a_forced_codec_is_told(chain, run, tmp_path):
    details = tmp_path / "details.json"
    options = ["--annotations", chain.val, "--images", chain.images, "--details", details]
    text = run("evaluate", "--checkpoint", chain.student("primary"), *options, "--codec", "udp", "--force-codec")
    assert "(forced: its file says DARK(" in text
    assert json.loads(details.read_text())["forced"] is True


def test_another_validation_file_is_another_run(chain, fail, run, half_masked, tmp_path):
    options = [
        "train",
        "--model",
        "hrnet_w8_small",
        *chain.data,
        "--input-size",
        "64x64",
        "--out",
        tmp_path / "run",
    ]
    run(*options, "--epochs", 1, "--val-annotations", chain.val)
    message = fail(*options, "--epochs", 1, "--val-annotations", half_masked)
    assert "holds another run, which differs in the validation data: give another folder" in message
    assert "differs in the validation data: " in fail(*options, "--epochs", 1)


def test_what_a_checkpoint_says_of_its_keypoints_need_not_be_said_again(chain, run, fail, tmp_path, small_network):
    names = ["nose", "left_paw", "right_paw"]
    dog = {"id": 1, "name": "dog", "keypoints": names, "sigmas": [0.03, 0.07, 0.07]}
    person = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 3000.0, "bbox": [20, 10, 60, 100]}
    content = chain.content()
    image = {**content["images"][0], "id": 1}
    content = {
        "images": [image],
        "categories": [dog],
        "annotations": [{**person, "keypoints": [40, 30, 2, 50, 60, 2, 30, 60, 1]}],
    }
    said, silent = tmp_path / "said.json", tmp_path / "silent.json"
    said.write_text(json.dumps(content))
    del dog["sigmas"]
    silent.write_text(json.dumps(content))
    train = ["--model", "hrnet_w8_small", "--images", chain.images, "--batch-size", 1, "--epochs", 1]
    size = ["--input-size", "64x64"]
    assert "sigmas" in fail("train", *train, *size, "--train-annotations", silent, "--out", tmp_path / "none")
    run("train", *train, *size, "--train-annotations", said, "--out", tmp_path / "dog")
    student = tmp_path / "dog" / "student.safetensors"
    scores = [tmp_path / "a.json", tmp_path / "b.json"]
    for annotations, score in zip((said, silent), scores, strict=True):
        evaluated = ["--annotations", annotations, "--images", chain.images, "--json", score]
        run("evaluate", "--checkpoint", student, *evaluated)
    assert scores[0].read_text() == scores[1].read_text()
    goes_on = ["--train-annotations", silent, "--checkpoint", student, "--out", tmp_path / "on"]
    run("train", *train, *goes_on)
    taught = ["--recipe", "fpd", "--primary", student, "--train-annotations", silent, "--out", tmp_path / "pup"]
    run("distill", "--student", "hrnet_w8_small", *train[2:], *taught)
