"""An ONNX file computes what the network computes, at every batch size, and says how it is used."""

import json
import logging

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from kdkit import BatchError, ConfigurationError
from kdkit_pose import CROWDPOSE, Skeleton, codecs, models
from kdkit_pose.codecs import MSRA, UDP
from kdkit_pose.data.normalize import normalize
from kdkit_pose.export import read_onnx_metadata, to_onnx
from kdkit_pose.skeleton import COCO


def run(path, *inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    (heatmap,) = session.run(None, dict(zip(names, inputs, strict=True)))
    return heatmap


@pytest.fixture(scope="module")
def exported(student, codec, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "folder" / "student.onnx"
    return to_onnx(student, path, codec)


@pytest.mark.parametrize("name", ["hrnet_w8_small", "simplebaseline_resnet18"])
def test_students_are_exported(make, codec, tmp_path, name):
    network = make(name)
    report = to_onnx(network, tmp_path / "student.onnx", codec)
    image = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        expected = network(image).numpy()
    assert 0.5 < np.abs(expected).max() < 10
    np.testing.assert_allclose(run(report.path, image.numpy()), expected, rtol=0, atol=1e-4)


def test_probabilities_are_exported_as_such(make, codec, tmp_path):
    network = make()
    network.activate("sigmoid")
    report = to_onnx(network, tmp_path / "student.onnx", codec)
    image = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        expected = network(image).numpy()
    found = run(report.path, image.numpy())
    assert 0 < found.min() < found.max() < 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert read_onnx_metadata(report.path)["activation"] == "sigmoid"


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_every_batch_size_gives_the_networks_heatmaps(student, exported, batch):
    image = torch.randn(batch, 3, 64, 64, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        expected = student(image).numpy()
    found = run(exported.path, image.numpy())
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_file_is_one_with_named_inputs_and_no_trace_of_the_machine(exported):
    assert list(exported.path.parent.iterdir()) == [exported.path]
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.name for entry in model.graph.input] == ["image"]
    assert [entry.name for entry in model.graph.output] == ["heatmap"]
    for entry in (*model.graph.input, *model.graph.output):
        assert entry.type.tensor_type.shape.dim[0].dim_param == "batch"
    content = exported.path.read_bytes()
    assert b".py" not in content
    assert b"stack_trace" not in content
    assert not [node for node in model.graph.node if node.op_type == "BatchNormalization"]


def test_the_report_says_what_was_measured(exported):
    assert exported.size == exported.path.stat().st_size
    assert exported.inputs == {"image": "float32 [batch, 3, 64, 64]"}
    assert exported.output == "heatmap [batch, 17, 16, 16]"
    assert exported.opset == onnx.load(exported.path).opset_import[0].version
    assert 0 < exported.parity.difference < 1e-4 < 0.1 < exported.parity.peak
    text = str(exported)
    for part in (str(exported.path), "tiny", f"{exported.parity.difference:.1e}", "1, 2 and 5"):
        assert part in text


def test_the_metadata_gives_network_codec_and_skeleton_back(exported, student, codec):
    metadata = read_onnx_metadata(exported.path)
    assert models.describe(student).items() <= metadata.items()
    assert codecs.from_metadata(metadata) == codec
    assert Skeleton.from_metadata(metadata) == COCO
    assert json.loads(metadata["preprocessing"])["input_size"] == [64, 64]
    assert json.loads(metadata["decoding"])["blur_kernel"] == codec.blur_kernel
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == metadata


def test_other_keypoints_and_codecs(make, tmp_path):
    network, codec = make(num_keypoints=14, size=(32, 64)), UDP(input_size=(32, 64), sigma=1.5)
    report = to_onnx(network, tmp_path / "crowd.onnx", codec, CROWDPOSE)
    metadata = read_onnx_metadata(report.path)
    assert codecs.from_metadata(metadata) == codec
    assert Skeleton.from_metadata(metadata) == CROWDPOSE
    assert report.inputs["image"] == "float32 [batch, 3, 64, 32]"


@pytest.mark.parametrize("fusion", ["concat", "multiply", "add"])
def test_a_mask_is_a_second_input(make, codec, tmp_path, fusion):
    network = make(mask_fusion=fusion)
    if fusion == "add":
        torch.nn.init.normal_(network.mask_fusion.stem.weight)
    to_onnx(network, tmp_path / "senior.onnx", codec)
    image, mask = torch.randn(3, 3, 64, 64), (torch.rand(3, 1, 64, 64) > 0.5).float()
    with torch.no_grad():
        expected, other = network(image, mask).numpy(), network(image, 1 - mask).numpy()
    found = run(tmp_path / "senior.onnx", image.numpy(), mask.numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert fusion == "concat" or np.abs(found - other).max() > 1e-3


def test_only_the_last_heatmaps_leave_a_network_with_features(make, codec, tmp_path):
    network = make(features=("stem",))
    to_onnx(network, tmp_path / "student.onnx", codec)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(image)["heatmap"].numpy()
    np.testing.assert_allclose(run(tmp_path / "student.onnx", image.numpy()), expected, rtol=0, atol=1e-5)


def test_a_file_that_reads_pixels_normalises_them_as_the_data_does(student, codec, tmp_path):
    report = to_onnx(student, tmp_path / "pixels.onnx", codec, pixels=True)
    assert report.inputs == {"image": "uint8 [batch, 64, 64, 3]"}
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = student(torch.from_numpy(np.stack([normalize(one) for one in pictures]))).numpy()
    np.testing.assert_allclose(run(report.path, pictures), expected, rtol=0, atol=1e-4)
    preprocessing = json.loads(read_onnx_metadata(report.path)["preprocessing"])
    assert (preprocessing["dtype"], preprocessing["layout"]) == ("uint8", "NHWC")
    assert "mean" not in preprocessing


def test_the_network_is_left_as_it_was(make, codec, tmp_path, capfd):
    network = make().train().to(torch.bfloat16)
    network.act.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    to_onnx(network, tmp_path / "student.onnx", codec)
    assert [module.training for module in network.modules()] == modes
    after = network.state_dict()
    assert all(torch.equal(value, after[key]) and value.dtype == after[key].dtype for key, value in before.items())
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == 0
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():  # it is shipped as it evaluates, not as it trains
        expected = network.eval().float()(image).numpy()
    np.testing.assert_allclose(run(tmp_path / "student.onnx", image.numpy()), expected, rtol=0, atol=1e-4)


def test_an_operator_set_can_be_asked_for(student, codec, tmp_path):
    assert to_onnx(student, tmp_path / "student.onnx", codec, opset=18).opset == 18
    assert onnx.load(tmp_path / "student.onnx").opset_import[0].version == 18


def test_sizes_that_the_network_cannot_read(make, kept, assert_kept):
    with pytest.raises(BatchError, match="multiples of 32"):
        to_onnx(make("hrnet_w8_small"), kept, MSRA(input_size=(64, 100)))
    assert_kept()


def test_what_describes_another_network_is_refused(student, codec, kept, assert_kept):
    with pytest.raises(ConfigurationError, match=r"\[2, 17, 16, 16\].*'crowdpose' describe \[2, 14, 16, 16\]"):
        to_onnx(student, kept, codec, CROWDPOSE)
    with pytest.raises(ConfigurationError, match=r"models\.create"):
        to_onnx(torch.nn.Conv2d(3, 17, 1), kept, codec)
    with pytest.raises(ConfigurationError, match="tolerance"):
        to_onnx(student, kept, codec, tolerance=-1.0)
    assert_kept()
