"""HRNet-W32 into HRNet-W16 by a feature: compiled and in two processes with the losses of one eager process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdkit_pose import models

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "feature_distillation.py"


@pytest.mark.parametrize(("teacher", "student"), [("hrnet_w16_small", "hrnet_w8_small")])
def test_compiled_and_distributed_equal_eager(tmp_path, teacher, student):
    result = tmp_path / "losses.json"
    # The graph is inductor's; without generated code, since a compiler may be missing and takes minutes.
    options = ["--backend", "aot_eager", "--steps", "2", "--json", str(result)]
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--teacher", teacher, "--student", student, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(result.read_text())
    losses = found["losses"]
    assert list(losses) == ["eager", "compiled (aot_eager)", "two processes"]
    assert losses["eager"][1] < losses["eager"][0]
    for name, values in losses.items():
        assert values == pytest.approx(losses["eager"], rel=1e-4), name
    assert found["entries"] == len(models.create(student).state_dict())  # no adaptor among them
