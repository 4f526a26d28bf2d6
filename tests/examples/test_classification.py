"""The classification example: it runs, and what it compares is comparable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.started import WARNINGS

SCRIPT = Path(__file__).parents[2] / "examples" / "classification.py"


def run(out: Path, *arguments: str) -> str:
    command = [sys.executable, *WARNINGS, str(SCRIPT), "--pictures", "64", "--epochs", "2", "--out", str(out)]
    done = subprocess.run(
        [*command, *arguments],
        cwd=out.parent,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def epochs(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("option", "loss"), [([], "channel_kl"), (["--decoupled"], "decoupled_kl")], ids=["channel_kl", "decoupled_kl"]
)
def test_teacher_and_both_students_are_trained_and_compared(option, loss, tmp_path):
    printed = run(tmp_path / "out", *option).splitlines()
    assert [line.split(":")[0] for line in printed] == ["teacher", "plain", "distilled"]
    for line in printed:
        name = line.split(":")[0]
        assert f"accuracy {epochs(tmp_path / 'out' / name)[-1]['val/accuracy']:.3f}" in line
    # Equal budgets: the same steps and the same networks; only the distilled one has the teacher's loss.
    plain, distilled = (epochs(tmp_path / "out" / name) for name in ("plain", "distilled"))
    assert [line["step"] for line in plain] == [line["step"] for line in distilled] == [2, 4]
    assert "loss/distill/teacher/logits" not in plain[-1]
    assert distilled[-1]["loss/distill/teacher/logits"] > 0
    assert loss in (tmp_path / "out" / "distilled" / "config.json").read_text()
    files = [load_file(tmp_path / "out" / name / "student.safetensors") for name in ("plain", "distilled")]
    assert files[0].keys() == files[1].keys()
    assert any(not files[0][name].equal(files[1][name]) for name in files[0])
