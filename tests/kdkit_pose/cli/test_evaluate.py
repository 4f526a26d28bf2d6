"""What evaluate prints and writes beside COCO's ten figures."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from kdkit import DataError
from kdkit_pose import models
from kdkit_pose.codecs import DARK
from kdkit_pose.skeleton import CROWDPOSE


@pytest.fixture
def evaluated(chain):
    return ["--annotations", chain.val, "--images", chain.images]


@pytest.fixture
def kind(chain, tmp_path):
    """The validation file, of persons so large that OKS forgives even these networks."""
    content = chain.content()
    for person in content["annotations"]:
        person["area"] = 3e5
    (tmp_path / "kind.json").write_text(json.dumps(content))
    return ["--annotations", tmp_path / "kind.json", "--images", chain.images]


def test_prints_how_the_figures_came_about(chain, run, kind):
    text = run("evaluate", "--checkpoint", chain.student("odkd"), *kind, "--no-flip")
    assert "ground truth boxes, flip test off" in text
    assert str(DARK(input_size=(64, 64), decoder="centroid")) in text
    assert "left_wrist" in text
    assert "persons have a result" in text


def test_details_hold_all_of_it(chain, run, kind, tmp_path):
    details, figures = tmp_path / "details.json", tmp_path / "figures.json"
    written = ["--json", figures, "--details", details]
    text = run("evaluate", "--checkpoint", chain.student("odkd"), *kind, *written)
    assert text.splitlines()[-2:] == [f"written: {figures}", f"written: {details}"]
    found = json.loads(details.read_text())
    assert found["figures"] == json.loads(figures.read_text())
    assert found["network"] == "hrnet_w8_small"
    assert found["flip"] is True
    assert found["codec"]["codec"] == "dark"
    assert found["skeleton"] == "coco"
    assert len(found["checkpoint"]["sha256"]) == 64
    assert [one["keypoint"] for one in found["keypoints"]][:2] == ["nose", "left_eye"]
    assert 0 < found["persons"]["matched"] <= found["persons"]["annotated"]
    assert "comparison" not in found


def test_two_networks_on_the_same_data(chain, run, kind, tmp_path):
    details = tmp_path / "details.json"
    arguments = ["--against", chain.student("primary"), "--resamples", 100, "--details", details]
    text = run("evaluate", "--checkpoint", chain.student("odkd"), *kind, *arguments)
    found = json.loads(details.read_text())
    comparison = found["comparison"]
    assert comparison["first"] == found["figures"]["AP"]
    assert comparison["second"] == found["against"]["figures"]["AP"]
    assert comparison["difference"] == comparison["first"] - comparison["second"]
    assert comparison["low"] <= comparison["high"]
    assert found["against"]["codec"]["codec_decoder"] == "centroid"
    assert f"A - B: AP difference {comparison['difference']:+.3f}" in text
    assert text.count("left_wrist") == 2


def test_a_network_does_not_differ_from_itself(chain, run, kind):
    same = chain.student("odkd")
    text = run("evaluate", "--checkpoint", same, *kind, "--against", same, "--resamples", 100)
    assert "AP difference +0.000, 95% interval +0.000 to +0.000" in text


def test_a_codec_that_contradicts_the_file(chain, fail, run, evaluated, tmp_path):
    checkpoint = ["--checkpoint", chain.student("primary")]
    for option, value in (("--codec", "udp"), ("--input-size", "128x96"), ("--sigma", "3")):
        message = fail("evaluate", *checkpoint, *evaluated, option, value)
        assert option in message
        assert str(chain.student("primary")) in message
        assert "--force-codec" in message
    # What the file says itself is no contradiction, and neither is another decoder.
    run("evaluate", *checkpoint, *evaluated, "--codec", "dark", "--decoder", "centroid")
    text = run("evaluate", *checkpoint, *evaluated, "--codec", "udp", "--force-codec")
    assert "UDP(" in text
    # Nor may the second network's file be contradicted.
    message = fail("evaluate", *checkpoint, *evaluated, "--against", chain.student("odkd"), "--sigma", "3")
    assert "--sigma" in message


def test_against_a_file_that_is_not_there_fails_before_the_evaluation(chain, fail, evaluated, tmp_path):
    message = fail(
        "evaluate", "--checkpoint", chain.student("odkd"), *evaluated, "--against", tmp_path / "none.pth"
    )
    assert "none.pth" in message


def test_what_is_wrong_with_the_second_network_is_told_first_and_a_failed_comparison_loses_nothing(
    chain, fail, evaluated, tmp_path, monkeypatch
):
    crowd, results = tmp_path / "crowd.safetensors", tmp_path / "results.json"
    models.save(models.create("hrnet_w8_small", num_keypoints=14), crowd, **CROWDPOSE.to_metadata())
    arguments = ["evaluate", "--checkpoint", chain.student("odkd"), *evaluated, "--results", results, "--against"]
    with monkeypatch.context() as patch:
        patch.setattr("kdkit_pose.cli.evaluated.CocoKeypoints", None)  # nothing is read
        assert "predicts 14 keypoints" in fail(*arguments, crowd)
    assert not results.exists()

    def broken(*_, **__):
        raise DataError("nothing to draw from")

    monkeypatch.setattr("kdkit_pose.cli.evaluate.compare", broken)
    assert "nothing to draw from" in fail(*arguments, chain.student("primary"))
    assert results.exists()


def test_the_second_networks_mask_fusion(chain, run, kind, tmp_path):
    bare, senior = tmp_path / "bare.pth", tmp_path / "senior.safetensors"
    learned = models.load(chain.student("senior"))
    # Without its sigmoid, of which a bare state dict says nothing.
    network = models.create("hrnet_w8_small", mask_fusion="concat")
    network.load_state_dict(learned.state_dict())
    torch.save(network.state_dict(), bare)
    models.save(network, senior, **replace(learned.codec, decoder="peak").to_metadata())
    arguments = ["--against", bare, "--against-model", "hrnet_w8_small", "--against-mask-fusion", "concat"]
    options = ["--codec", "dark", "--input-size", "64x64", "--resamples", 100]
    text = run("evaluate", "--checkpoint", senior, *kind, *arguments, *options)
    assert "AP difference +0.000, 95% interval +0.000 to +0.000" in text


def test_scores_details_hold_the_comparison_and_its_figures_stay_ten(chain, run, kind, tmp_path):
    results, figures, details = (tmp_path / name for name in ("results.json", "figures.json", "details.json"))
    text = run("evaluate", "--checkpoint", chain.student("odkd"), *kind, "--results", results)
    assert text.splitlines()[-1] == f"written: {results}"
    written = ("--json", figures, "--details", details)
    text = run("score", *kind[:2], "--results", results, "--boxes", "ground truth", *written)
    assert text.splitlines()[-2:] == [f"written: {figures}", f"written: {details}"]
    alone = json.loads(details.read_text())
    assert set(alone) == {"results", "figures"}
    run(
        "score",
        *kind[:2],
        "--results",
        results,
        "--boxes",
        "ground truth",
        *written,
        "--against",
        results,
        "--resamples",
        100,
    )
    found = json.loads(details.read_text())
    assert json.loads(figures.read_text()) == found["figures"] == found["against"]["figures"] == alone["figures"]
    assert found["results"]["path"] == str(results)
    assert len(found["against"]["results"]["sha256"]) == 64
    assert found["comparison"]["difference"] == 0
    assert found["comparison"]["resamples"] == 100


def test_score_compares_as_evaluate_does(chain, run, kind, tmp_path):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    run("evaluate", "--checkpoint", chain.student("odkd"), *kind, "--results", one)
    run("evaluate", "--checkpoint", chain.student("primary"), *kind, "--results", other)
    arguments = ["--against", chain.student("primary"), "--resamples", 100]
    whole = run("evaluate", "--checkpoint", chain.student("odkd"), *kind, *arguments)
    scored = run(
        "score", *kind[:2], "--results", one, "--boxes", "ground truth", "--against", other, "--resamples", 100
    )
    assert whole.splitlines()[-1] == scored.splitlines()[-1]
    assert scored.splitlines()[-1].startswith("A - B: AP difference ")


def test_a_missing_picture_is_no_silent_miss(chain, run, fail, kind, tmp_path):
    content = json.loads(kind[1].read_text())
    gone = content["annotations"][0]["image_id"]
    name = next(image["file_name"] for image in content["images"] if image["id"] == gone)
    folder = shutil.copytree(chain.images, tmp_path / "images")
    (folder / name).unlink()
    arguments = ["evaluate", "--checkpoint", chain.student("odkd"), *kind[:3], folder, "--no-flip"]
    message = fail(*arguments)
    assert f"1 of the {len(content['images'])} pictures" in message
    assert name in message
    assert "--skip-missing" in message
    # The others alone are scored, as if the file listed no more.
    others = {**content, "images": [image for image in content["images"] if image["id"] != gone]}
    others["annotations"] = [one for one in content["annotations"] if one["image_id"] != gone]
    (tmp_path / "others.json").write_text(json.dumps(others))
    found, expected = tmp_path / "found.json", tmp_path / "expected.json"
    compared = ["--against", chain.student("primary"), "--resamples", 100, "--details"]
    text = run(*arguments, "--skip-missing", *compared, found)
    run(*arguments[:4], tmp_path / "others.json", *arguments[5:], *compared, expected)
    assert "without 1 pictures that cannot be read" in text
    one, other = json.loads(found.read_text()), json.loads(expected.read_text())
    assert (one.pop("missing pictures"), other.pop("missing pictures")) == (1, 0)
    assert one.pop("against").pop("figures") == other.pop("against").pop("figures")
    assert one == other


def test_what_cannot_be_compared_is_said_before_anything_is_evaluated(chain, fail, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("kdkit_pose.cli.evaluated.Evaluation.run", None)  # nobody gets there
    content = json.loads(kind[1].read_text())
    content["images"] = [one := content["images"][0]]
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] == one["id"]]
    (alone := tmp_path / "alone.json").write_text(json.dumps(content))
    student = chain.student("odkd")
    message = fail("evaluate", "--checkpoint", student, "--against", student, "--annotations", alone, *kind[2:])
    assert "an interval needs two pictures and a labelled person at least; the ground truth has 1 and" in message
    (tmp_path / "results.json").write_text("[]")
    files = ("--results", tmp_path / "results.json", "--against", tmp_path / "results.json")
    assert "the ground truth has 1 and" in fail("score", "--annotations", alone, *files, "--boxes", "detector")
