"""What a canonical cache loses is measured by a script, of which a toy run takes seconds."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TOY = {
    **{"pictures": 4, "val-pictures": 2, "persons": 6, "views": 2, "batch-size": 4},
    **{"epochs": 2, "teacher-epochs": 1, "seeds": 1, "teacher": "hrnet_w8_small", "student": "hrnet_w8_small"},
}


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
    result = tmp_path / "result.json"
    toy = [part for name, value in TOY.items() for part in (f"--{name}", str(value))]
    study("--out", str(tmp_path / "runs"), "--json", str(result), "--size", "32", "64", *toy)
    found = json.loads(result.read_text())
    arms = ["live", "cached", "canonical, warped", "canonical, width kept"]
    assert list(found["students"]) == arms
    assert all(len(of_arm) == 1 for of_arm in found["students"].values())
    assert len(found["differences"]) == 6
    assert "cached - live" in found["differences"]
    assert {"torch", "kdkit"} <= found["versions"].keys()
    assert found["configuration"]["epochs"] == 2
    for by_width in found["maps"].values():
        assert list(by_width) == arms[2:]
        for kinds in by_width.values():
            assert list(kinds) == ["mirrored", "rotated", "zoomed", "half bodies", "all"]
    warped, kept = found["maps"]["truth"].values()
    # Turning leaves a Gaussian's width alone, zooming does not, unless it is kept.
    assert warped["rotated"]["iou"] > warped["zoomed"]["iou"] > 0.3
    assert kept["zoomed"]["iou"] > warped["zoomed"]["iou"] + 0.1
    assert warped["rotated"]["cells"] < 0.3
    assert warped["all"]["share"] == pytest.approx(1, abs=0.1)
    assert "canonical, width kept - live" in capsys.readouterr().out


def test_half_of_the_files_is_refused(study, tmp_path, capsys):
    with pytest.raises(SystemExit):
        study("--annotations", str(tmp_path / "people.json"))
    assert "give all of --annotations" in capsys.readouterr().err
