"""``kdkit-pose models``."""

import json

import pytest
import torch

from kdkit_pose import models


def test_all_networks_are_listed(run):
    printed = run("models", "--no-latency", "--input-size", "128x64")
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.strip()}
    for name in models.names():
        assert len(rows[name]) == 2, rows[name]
    assert "128x64 (height x width)" in printed
    assert "1 MAC is one multiplication with its addition" in printed
    assert "ms at" not in printed


def test_latency_is_measured_for_the_names_and_batches_given(run, tmp_path):
    out = tmp_path / "models.json"
    printed = run(
        *("models", "hrnet_w8_small", "hrnet_w16_small", "--batch", 1, "--batch", 3, "--input-size", "64x32"),
        *("--device", "cpu", "--seconds", 0.05, "--json", out),
    )
    content = json.loads(out.read_text())
    assert list(content["models"]) == ["hrnet_w8_small", "hrnet_w16_small"]
    assert "ms at 3" in printed
    assert content["measured on"] in printed
    assert printed.splitlines()[-1] == f"written: {out}"
    assert f"PyTorch {torch.__version__}" in content["measured on"]
    for name, found in content["models"].items():
        network = models.create(name)
        assert found["parameters"] == models.count_parameters(network)
        assert found["macs"] == models.count_macs(network, (32, 64))
        assert list(found["latency"]) == ["1", "3"]
        assert all(cell["ms"] > 0 and cell["runs"] >= 1 for cell in found["latency"].values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hrnet_w99"], "no model is called 'hrnet_w99'"),
        (["--input-size", "100x100"], "multiples of 32"),
        (["--input-size", "large"], "height x width"),
        (["--batch", "0"], "--batch"),
        (["--device", "abacus"], "--device 'abacus'"),
        (["--device", "meta"], "measured on cpu or cuda"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(fail, arguments, message, monkeypatch):
    monkeypatch.setattr("kdkit_pose.cli.models.measure_latency", lambda *_, **__: pytest.fail("measured"))
    assert message in fail("models", *arguments)
