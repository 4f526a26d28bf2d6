"""The examples run as they stand, from any folder, without a warning."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdkit_pose import models
from tests.started import WARNINGS

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def start_example(name: str, out: Path, pictures: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *WARNINGS, str(EXAMPLES / name), "--pictures", str(pictures), "--epochs", "1"]
    return subprocess.run(
        [*command, "--out", str(out)],
        cwd=out.parent,
        # An example must not need an accelerator. Threads of so small networks mostly wait for each other.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def run_example(name: str, out: Path) -> str:
    run = start_example(name, out, pictures=6)
    assert run.returncode == 0, run.stderr
    return run.stdout


def stages(run: Path) -> list[str]:
    return [json.loads(line)["stage"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_odkd_goes_through_both_stages_and_its_student_loads(tmp_path):
    printed = run_example("odkd_pose.py", tmp_path / "out")
    assert stages(tmp_path / "out" / "odkd") == ["primary", "senior"]
    file = tmp_path / "out" / "odkd" / "student.safetensors"
    assert models.load(file).inputs == ("image",)
    # The last stage's targets are binarized: the file says how to decode them.
    assert models.read_metadata(file)["codec_decoder"] == "centroid"
    assert "with ground truth boxes" in printed


def test_a_custom_curriculum_goes_through_all_stages_and_switches_at_the_plateau(tmp_path):
    printed = run_example("custom_curriculum.py", tmp_path / "out")
    seen = stages(tmp_path / "out" / "student")
    assert list(dict.fromkeys(seen)) == ["coarse", "primary", "both", "senior"]
    # Three epochs at most; this little training does not raise the AP, so the plateau ends the stage before.
    assert seen.count("both") == 2
    assert "with ground truth boxes" in printed
    # Fewer pictures are another run, even where they make as many batches.
    other = start_example("custom_curriculum.py", tmp_path / "out", pictures=5)
    assert other.returncode != 0
    assert "holds another run, which differs in config.pictures (" in other.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_is_short_enough_to_be_read(name):
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 80
