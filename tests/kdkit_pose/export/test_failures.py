"""What cannot be exported is told in a line, and leaves the file that was there as it was."""

import copy
import logging
import os
import sys

import onnx
import pytest
import torch

from kdkit import CheckpointError, ConfigurationError, ExportError
from kdkit_pose import models
from kdkit_pose.export import parity, read_onnx_metadata, to_onnx


@torch.library.custom_op("kdkit_tests::unheard_of", mutates_args=())
def unheard_of(features: torch.Tensor) -> torch.Tensor:
    return features.clone()


@unheard_of.register_fake
def _(features):
    return torch.empty_like(features)


class Singular(torch.autograd.Function):
    """What ONNX has not, within a function with a gradient of its own."""

    @staticmethod
    def forward(context, features):
        return features + torch.linalg.svdvals(features)[..., None]

    @staticmethod
    def backward(context, gradient):
        return gradient


def test_an_operator_that_onnx_has_not_is_named(altered, codec, kept, assert_kept):
    with pytest.raises(ExportError) as caught:
        to_onnx(altered(lambda features: unheard_of(features)), kept, codec)
    message = str(caught.value)
    assert message.startswith("tiny cannot be exported: ONNX has no operator for kdkit_tests.unheard_of")
    assert "'act' (Between)" in message
    assert "safetensors" in message
    assert len(message.splitlines()) == 1
    assert_kept()


def test_an_operator_within_a_custom_function_is_named(altered, codec, kept, assert_kept):
    with pytest.raises(ExportError, match=r"ONNX has no operator for aten\.\w*svd\w*, called in its module 'act'"):
        to_onnx(altered(lambda features: Singular.apply(features)), kept, codec)
    assert_kept()


def test_a_forward_that_depends_on_values_is_told_where(altered, codec, kept, assert_kept):
    with pytest.raises(
        ExportError, match=r"captured as a graph at .*test_failures\.py, line \d+.*values"
    ) as caught:
        to_onnx(altered(lambda features: features * 2 if features.sum() > 0 else features), kept, codec)
    assert len(str(caught.value).splitlines()) == 1
    assert_kept()


def test_a_fixed_batch_size_is_told(altered, codec, kept, assert_kept):
    with pytest.raises(ExportError, match="fixes the batch size"):
        to_onnx(altered(lambda features: features + torch.ones(2, *features.shape[1:])), kept, codec)
    assert_kept()


def test_a_file_that_computes_something_else_is_not_kept(altered, codec, kept, assert_kept):
    with pytest.raises(ExportError, match=r"differ by .* more than the 1e-04 allowed.*is not written"):
        to_onnx(altered(lambda features: features + torch.rand_like(features)), kept, codec)
    assert_kept()


def test_nan_is_no_parity(altered, codec, kept, assert_kept):
    with pytest.raises(ExportError, match="heatmaps of random images are not finite"):
        to_onnx(altered(lambda features: features * float("nan")), kept, codec)
    assert_kept()


class Altered:
    """An ONNX run whose heatmaps a function alters."""

    def __init__(self, session, alter):
        self.session, self.alter = session, alter

    def get_inputs(self):
        return self.session.get_inputs()

    def run(self, names, feed):
        return [self.alter(heatmap) for heatmap in self.session.run(names, feed)]


@pytest.mark.parametrize("factor", [0.0, float("nan")])
def test_a_file_of_zeros_or_nan_is_refused_however_low_the_heatmaps(
    student, codec, kept, assert_kept, monkeypatch, factor
):
    """As those of a network before its training, whose highest value may be below the tolerance."""
    fresh = copy.deepcopy(student)
    with torch.no_grad():
        for parameter in fresh.final_layer.parameters():
            parameter *= 4e-5
    opened = parity.open_session
    monkeypatch.setattr(
        parity, "open_session", lambda content: Altered(opened(content), lambda heatmap: heatmap * factor)
    )
    with pytest.raises(ExportError, match=r"differ by (nan|.*of that, more than the 1e-03 allowed)"):
        to_onnx(fresh, kept, codec)
    assert_kept()


def test_a_fresh_network_is_exported_and_its_differences_told(codec, tmp_path):
    torch.manual_seed(0)
    fresh = models.create("simplebaseline_resnet18")
    report = to_onnx(fresh, tmp_path / "fresh.onnx", codec)
    assert report.parity.peak > 0
    assert report.parity.relative <= 1e-3
    assert f"{report.parity.relative:.1e} of the highest value" in str(report)


def test_heatmaps_of_zeros_show_nothing(student, codec, kept, assert_kept):
    dead = copy.deepcopy(student)
    with torch.no_grad():
        for parameter in dead.final_layer.parameters():
            parameter.zero_()
    with pytest.raises(ExportError, match="all 0"):
        to_onnx(dead, kept, codec)
    assert_kept()


def test_the_tolerance_counts(student, codec, kept, assert_kept):
    with pytest.raises(ExportError, match="more than the 0e"):
        to_onnx(student, kept, codec, tolerance=0.0)
    assert_kept()


def test_every_batch_size_is_compared(student, codec, kept, assert_kept, monkeypatch):
    class Session:
        """Wrong by a little for one batch size."""

        def __init__(self, session, wrong):
            self.session, self.wrong = session, wrong

        def get_inputs(self):
            return self.session.get_inputs()

        def run(self, names, feed):
            (heatmap,) = self.session.run(names, feed)
            return [heatmap + 1e-3 * (len(heatmap) == self.wrong)]

    opened = parity.open_session
    for wrong in (1, 5):
        monkeypatch.setattr(parity, "open_session", lambda content, wrong=wrong: Session(opened(content), wrong))
        with pytest.raises(ExportError, match=r"differ by 1\.0e-03"):
            to_onnx(student, kept, codec)
    assert_kept()


def test_an_operator_set_that_cannot_be_had(student, codec, kept, assert_kept, capfd, caplog):
    with pytest.raises(ExportError, match="operator set 11, PyTorch wrote 18 instead"):
        to_onnx(student, kept, codec, opset=11)
    with pytest.raises(
        ExportError, match=r"operator set 99, PyTorch wrote .*take one from 18 on that PyTorch knows"
    ):
        to_onnx(student, kept, codec, opset=99)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert_kept()


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_told_with_the_remedy(student, codec, kept, assert_kept, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"package {package},.*pip install 'kdkit\[onnx\]'"):
        to_onnx(student, kept, codec)
    with pytest.raises(ConfigurationError, match="pip install"):
        read_onnx_metadata(kept)
    assert_kept()


def test_a_disk_that_is_full(student, codec, kept, assert_kept, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CheckpointError, match=r"student\.onnx cannot be written: No space left"):
        to_onnx(student, kept, codec)
    assert_kept()


def test_reading_what_is_no_onnx_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"no file .*missing\.onnx"):
        read_onnx_metadata(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(CheckpointError, match=r"text\.onnx is not an ONNX file"):
        read_onnx_metadata(tmp_path / "text.onnx")


def test_a_file_of_another_program_has_its_own_metadata(tmp_path):
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "plain.onnx")
    assert read_onnx_metadata(tmp_path / "plain.onnx") == {}
