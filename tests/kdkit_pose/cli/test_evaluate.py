"""What evaluate prints and writes beside COCO's ten figures."""

import json

import pytest


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
    assert "DARK(input_size=(64, 64), sigma=2.0, decoder='centroid')" in text
    assert "left_wrist" in text
    assert "persons have a result" in text


def test_details_hold_all_of_it(chain, run, kind, tmp_path):
    details, figures = tmp_path / "details.json", tmp_path / "figures.json"
    run("evaluate", "--checkpoint", chain.student("odkd"), *kind, "--json", figures, "--details", details)
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
    assert found["against"]["codec"]["codec_decoder"] == "peak"
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


def test_score_compares_as_evaluate_does(chain, run, kind, tmp_path):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    run("evaluate", "--checkpoint", chain.student("odkd"), *kind, "--results", one)
    run("evaluate", "--checkpoint", chain.student("primary"), *kind, "--results", other)
    arguments = ["--against", chain.student("primary"), "--resamples", 100]
    whole = run("evaluate", "--checkpoint", chain.student("odkd"), *kind, *arguments)
    scored = run("score", *kind[:2], "--results", one, "--against", other, "--resamples", 100)
    assert whole.splitlines()[-1] == scored.splitlines()[-1]
    assert scored.splitlines()[-1].startswith("A - B: AP difference ")
