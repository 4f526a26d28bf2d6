import json
import os

import pytest
import torch
from safetensors.torch import load_file

from kdkit import CheckpointError, ConfigurationError, ExportError
from kdkit_pose import CROWDPOSE, Skeleton, codecs, models
from kdkit_pose.codecs import MSRA, UDP
from kdkit_pose.export import safetensors_export, to_safetensors
from kdkit_pose.export.decoding import describe_decoding
from kdkit_pose.skeleton import COCO

SMALL = "hrnet_w8_small"


@pytest.mark.parametrize(("fusion", "activation"), [("none", "none"), ("add", "none"), ("none", "sigmoid")])
def test_the_file_needs_no_further_description(make, codec, tmp_path, fusion, activation):
    network = make(SMALL, mask_fusion=fusion, activation=activation)
    report = to_safetensors(network, tmp_path / "folder" / "student.safetensors", codec)
    read, metadata = models.load(report.path).eval(), models.read_metadata(report.path)
    assert codecs.from_metadata(metadata) == codec
    assert Skeleton.from_metadata(metadata) == COCO
    assert metadata["decoding_description"] == describe_decoding(codec)
    assert json.loads(metadata["preprocessing"])["colour_order"] == "RGB"
    inputs = (torch.randn(2, 3, 64, 64), torch.rand(2, 1, 64, 64))[: len(network.inputs)]
    with torch.no_grad():
        assert torch.equal(read(*inputs), network(*inputs))
    assert report.entries == len(load_file(report.path)) == len(network.state_dict())
    assert report.size == report.path.stat().st_size
    assert list(report.path.parent.iterdir()) == [report.path]


def test_the_report_names_what_was_written(make, tmp_path):
    codec = UDP(input_size=(64, 64))
    report = to_safetensors(make(SMALL, num_keypoints=14), tmp_path / "crowd.safetensors", codec, CROWDPOSE)
    text = str(report)
    for part in ("crowd.safetensors", "hrnet_w8_small", str(codec), "'crowdpose'", "equal to the bit"):
        assert part in text
    assert Skeleton.from_metadata(models.read_metadata(report.path)) == CROWDPOSE


def test_half_precision_and_modes_stay_the_networks_own(make, codec, tmp_path):
    network = make(SMALL).train().to(torch.bfloat16)
    report = to_safetensors(network, tmp_path / "student.safetensors", codec)
    assert network.training
    assert network.conv1.weight.dtype == torch.bfloat16
    assert torch.equal(load_file(report.path)["conv1.weight"], network.conv1.weight.float())


@pytest.fixture
def student(make):
    return make(SMALL)


def test_what_cannot_be_read_back_is_not_kept(student, make, codec, kept, assert_kept, monkeypatch):
    student.act2 = torch.nn.Dropout().train()
    monkeypatch.setattr(torch.nn.Dropout, "train", lambda self, mode=True: self)
    with pytest.raises(ExportError, match=r"another network.*is not written"):
        to_safetensors(student, kept, codec)
    assert_kept()

    def forgetful(path):
        network = models.load(path)
        network.bn1.num_batches_tracked += 1  # which no heatmap shows
        return network

    monkeypatch.setattr(safetensors_export, "load", forgetful)
    network = make(SMALL)
    with pytest.raises(ExportError, match="another network"):
        to_safetensors(network, kept, codec)
    assert_kept()


def test_mistakes_leave_the_older_file(student, codec, kept, assert_kept, monkeypatch):
    with pytest.raises(ConfigurationError, match="skeleton 'crowdpose'"):
        to_safetensors(student, kept, codec, CROWDPOSE)
    with pytest.raises(ConfigurationError, match=r"models\.create"):
        to_safetensors(torch.nn.Conv2d(3, 17, 1), kept, codec)
    with pytest.raises(ValueError, match="multiples of 32"):
        to_safetensors(student, kept, MSRA(input_size=(64, 100)))
    assert_kept()

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CheckpointError, match="cannot be written: No space left"):
        to_safetensors(student, kept, codec)
    assert_kept()
