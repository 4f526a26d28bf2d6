"""``kdkit-pose export``, from checkpoints of several origins."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from kdkit_pose import CROWDPOSE, Skeleton, codecs, models
from kdkit_pose.codecs import DARK, MSRA
from kdkit_pose.export import read_onnx_metadata
from kdkit_pose.skeleton import COCO

CODEC = DARK(input_size=(32, 64))


@pytest.fixture(scope="module")
def student(small_network, tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    models.save(small_network(), path, **CODEC.to_metadata(), **COCO.to_metadata())
    return path


@pytest.fixture(scope="module")
def official(small_network, tmp_path_factory):
    """A bare state dict, as others save it, of 14 keypoints."""
    path = tmp_path_factory.mktemp("official") / "pose_hrnet.pth"
    torch.save(small_network(num_keypoints=14).state_dict(), path)
    return path


def test_a_student_becomes_onnx(run, student, tmp_path):
    out = tmp_path / "student.onnx"
    printed = run("export", "--checkpoint", student, "--format", "onnx", "--out", out)
    assert printed.splitlines()[-1] == f"written: {out}"
    for part in (str(student), str(out), "hrnet_w8_small", "[batch, 3, 64, 32]", "differ by at most"):
        assert part in printed
    assert codecs.from_metadata(read_onnx_metadata(out)) == CODEC
    image = np.random.default_rng(0).normal(size=(3, 3, 64, 32)).astype(np.float32)
    (heatmap,) = onnxruntime.InferenceSession(out).run(None, {"image": image})
    with torch.no_grad():
        expected = models.load(student).eval()(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(heatmap, expected, rtol=1e-3, atol=1e-6)


def test_options_reach_the_file(run, student, tmp_path):
    out = tmp_path / "student.onnx"
    options = ("--pixels", "--opset", 18, "--tolerance", 0.5, "--decoder", "centroid")
    printed = run("export", "--checkpoint", student, "--format", "onnx", "--out", out, *options)
    assert "image uint8 [batch, 64, 32, 3]" in printed
    assert "operator set 18" in printed
    assert "allowed: 5e-01" in printed
    metadata = read_onnx_metadata(out)
    assert json.loads(metadata["preprocessing"])["dtype"] == "uint8"
    assert json.loads(metadata["decoding"])["rule"] == "centroid"


def test_a_foreign_checkpoint_becomes_kdkits_own(run, official, tmp_path):
    out = tmp_path / "own.safetensors"
    options = ("--codec", "msra", "--input-size", "64x32", "--skeleton", "crowdpose")
    printed = run("export", "--checkpoint", official, "--format", "safetensors", "--out", out, *options)
    assert "equal to the bit" in printed
    metadata = models.read_metadata(out)
    assert codecs.from_metadata(metadata) == MSRA(input_size=(32, 64))
    assert Skeleton.from_metadata(metadata) == CROWDPOSE
    state = models.load(out).state_dict()
    original = torch.load(official, weights_only=True)
    assert all(torch.equal(value, original[key]) for key, value in state.items())
    # Once more from there, without any option.
    run("export", "--checkpoint", out, "--format", "safetensors", "--out", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == out.read_bytes()


def test_mistakes_write_nothing(fail, student, official, tmp_path):
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"what was there")
    own, foreign = (("export", "--checkpoint", path, "--out", out) for path in (student, official))
    assert "--codec, one of msra, dark" in fail(*foreign, "--format", "safetensors", "--skeleton", "crowdpose")
    assert "give --skeleton" in fail(*foreign, "--format", "safetensors", "--codec", "msra")
    assert "14 keypoints" in fail(*foreign, "--format", "safetensors", "--codec", "msra", "--skeleton", "coco")
    assert "--sigmas goes with --skeleton" in fail(*own, "--format", "safetensors", "--sigmas", "0.1")
    assert "--codec dark, not msra" in fail(*own, "--format", "safetensors", "--codec", "msra")
    assert "--input-size 64x32, not 32x32" in fail(*own, "--format", "safetensors", "--input-size", "32x32")
    assert "--pixels" in fail(*own, "--format", "safetensors", "--pixels")
    assert "--format" in fail(*own, "--format", "tflite")
    missing = tmp_path / "missing.pth"
    assert str(missing) in fail("export", "--checkpoint", missing, "--format", "onnx", "--out", out)
    assert out.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [out]


def test_the_checkpoint_is_not_overwritten(fail, student):
    before = student.read_bytes()
    assert "would replace --checkpoint" in fail(
        "export",
        "--checkpoint",
        student,
        "--format",
        "onnx",
        "--out",
        student.parent / ".." / student.parent.name / student.name,
    )
    assert student.read_bytes() == before


def test_the_extra_is_asked_for_before_anything_else(fail, student, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    message = fail("export", "--checkpoint", student, "--format", "onnx", "--out", tmp_path / "student.onnx")
    assert "pip install 'kdkit[onnx]'" in message
    assert list(tmp_path.iterdir()) == []
