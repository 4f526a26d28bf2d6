"""Options that would change nothing are refused, not ignored."""

import json

import pytest

from kdkit_pose import models
from kdkit_pose.codecs import DARK
from kdkit_pose.skeleton import COCO


@pytest.fixture
def student(small_network, tmp_path):
    path = tmp_path / "student.safetensors"
    models.save(small_network(), path, **DARK(input_size=(32, 32)).to_metadata(), **COCO.to_metadata())
    return path


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--resamples", 2000, "give --against too"),  # even its default: that it was given is what counts
        ("--against-model", "hrnet_w32", "give --against too"),
        ("--against-mask-fusion", "concat", "give --against too"),
        ("--box-threshold", 0.5, "give --boxes too"),
        ("--force-codec", None, "give --codec or --input-size or --sigma too"),
        ("--predicted-masks", "masks.json", "no network here reads masks"),
        ("--mask-fusion", "concat", "its mask fusion is 'none', not 'concat'"),
    ],
)
def test_evaluate(fail, student, option, value, reason):
    files = ["--checkpoint", student, "--annotations", "none.json", "--images", "none"]
    message = fail("evaluate", *files, option, *([] if value is None else [value]))
    assert option in message
    assert reason in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--max-persons", 2), "give --boxes too"),
        (("--masks",), "give --boxes too"),
        (("--predicted-masks", "masks.json"), "give --boxes too"),
        (
            ("--boxes", "boxes.json", "--masks"),
            "none of the boxes in boxes.json has a mask; give --predicted-masks",
        ),
        (("--boxes", "coco.json", "--annotations", "coco.json"), "leave --annotations coco.json out"),
        (("--mask-fusion", "concat"), "its mask fusion is 'none', not 'concat'"),
    ],
)
def test_predict(fail, student, tmp_path, monkeypatch, options, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "boxes.json").write_text(json.dumps([{"file_name": "1.jpg", "bbox": [1, 1, 5, 5]}]))
    (tmp_path / "coco.json").write_text(json.dumps({"images": [], "annotations": []}))
    message = fail("predict", "--checkpoint", student, "--out", "out", "1.jpg", *options)
    assert options[-2 if "--masks" not in options else -1] in message
    assert reason in message


@pytest.mark.parametrize("value", [100, 2000])
def test_score(fail, value):
    files = ("--annotations", "none.json", "--results", "none.json")
    message = fail("score", *files, "--boxes", "detector", "--resamples", value)
    assert "--resamples would change nothing: give --against too" in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--pixels",), "it is for --format onnx"),
        (("--opset", 18), "it is for --format onnx"),
        (("--tolerance", 1e-4), "it is for --format onnx"),
        (("--sigmas", "0.1"), "--sigmas goes with --skeleton"),
        (("--mask-fusion", "concat"), "its mask fusion is 'none', not 'concat'"),
    ],
)
def test_export(fail, student, tmp_path, options, reason):
    out = tmp_path / "out.safetensors"
    message = fail("export", "--checkpoint", student, "--format", "safetensors", "--out", out, *options)
    assert options[0] in message
    assert reason in message
    assert not out.exists()


@pytest.mark.parametrize("options", [("--batch", 1), ("--device", "cpu"), ("--seconds", 2.0)])
def test_models(fail, options):
    message = fail("models", "hrnet_w8_small", "--no-latency", *options)
    assert f"{options[0]} would change nothing: --no-latency measures nothing" in message


def test_several_are_named_together(fail):
    arguments = ["--annotations", "none.json", "--images", "none", "--checkpoint", "none.safetensors"]
    message = fail("evaluate", *arguments, "--resamples", 100, "--against-model", "hrnet_w32")
    assert "--against-model and --resamples would change nothing" in message


def test_what_an_option_needs_may_be_any_of_several(fail, student):
    files = ["--checkpoint", student, "--annotations", "none.json", "--images", "none", "--force-codec"]
    for options in (("--codec", "udp"), ("--input-size", "64x64"), ("--sigma", 3)):
        assert "none.json" in fail("evaluate", *files, *options)
