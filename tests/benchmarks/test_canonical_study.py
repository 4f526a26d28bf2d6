"""What a canonical cache loses is measured by a script, of which a toy run takes seconds."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kdkit_pose import models
from kdkit_pose.codecs import DARK

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    """Runs the script with these arguments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    main = import_module("canonical_study").main

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["canonical_study.py", *arguments])
        main()

    return run


def test_a_toy_study_says_all_that_it_is_asked(study, tmp_path, capsys):
    network = models.create("hrnet_w8_small", mask_fusion="concat")
    network.codec = DARK(input_size=(32, 64))
    file, result = tmp_path / "teacher.safetensors", tmp_path / "result.json"
    models.save(network, file)
    toy = ("--pictures", "3", "--persons", "6", "--views", "2")
    study("--teacher", str(file), "--augment", "reference", "--json", str(result), *toy)
    found = json.loads(result.read_text())
    assert {"torch", "kdkit"} <= found["versions"].keys()
    assert found["configuration"]["views"] == 2
    assert len(found["teacher"]["fingerprint"]) == 64
    for by_width in found["maps"].values():
        assert list(by_width) == ["canonical, warped", "canonical, width kept"]
        for kinds in by_width.values():
            assert list(kinds) == ["mirrored", "rotated", "zoomed", "half bodies", "all"]
    warped, kept = found["maps"]["truth"].values()
    # Turning leaves a Gaussian's width alone, zooming does not, unless it is kept.
    assert warped["rotated"]["iou"] > warped["zoomed"]["iou"] > 0.3
    assert kept["zoomed"]["iou"] > warped["zoomed"]["iou"] + 0.1
    assert warped["rotated"]["cells"] < 0.3
    assert warped["all"]["share"] == pytest.approx(1, abs=0.1)
    assert "maps of 'teacher', canonical, width kept" in capsys.readouterr().out


def test_half_of_the_files_is_refused(study, tmp_path, capsys):
    with pytest.raises(SystemExit):
        study("--teacher", str(tmp_path / "w48.safetensors"), "--annotations", str(tmp_path / "people.json"))
    assert "give both of --annotations" in capsys.readouterr().err
