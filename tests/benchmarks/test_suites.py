"""Every suite runs, at toy size; what it finds there says nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITES = ROOT / "benchmarks" / "suites"


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory):
    """Run all suites; return what was printed and where the results are."""
    folder = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "pytest", "-c", str(SUITES / "pytest.ini"), str(SUITES)]
    command += ["--toy", "--results", str(folder), "--machine", "A toy"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, folder


def test_every_suite_keeps_what_it_finds(toy_run):
    content = json.loads((toy_run[1] / "a-toy.json").read_text(encoding="utf-8"))
    assert content["machine"]["name"] == "A toy"
    kept = {record["suite"] for record in content["records"]}
    assert kept == {path.name.removesuffix("_bench.py") for path in SUITES.glob("*_bench.py")}
    assert all(record["figures"] and record["commit"] for record in content["records"])


def test_the_table_says_figure_target_and_verdict(toy_run):
    printed = toy_run[0]
    assert "A toy" in printed
    for column in ("measurement", "figure", "value", "target", "verdict"):
        assert column in printed


SUITE = """
import torch

from benchmarks.measuring import Speed

torch.cuda.is_available = lambda: False


def test_on_a_gpu(cuda_compare):
    cuda_compare("x", {"a": int, "b": int}, target=Speed())


def test_on_the_cpu(compare, request):
    compare("y", {"a": int, "b": int}, target=Speed(), seconds=0)
    marked = [item.name for item in request.session.items if item.get_closest_marker("gpu")]
    assert marked == ["test_on_a_gpu"]
"""


def test_without_a_gpu_and_at_full_size_a_cuda_suite_says_why_it_skips(tmp_path):
    for name in ("conftest.py", "pytest.ini"):
        (tmp_path / name).write_text((SUITES / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "x_bench.py").write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), str(tmp_path), "-rs"]
    command += ["--results", str(tmp_path / "results"), "-o", f"pythonpath={ROOT}"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert "1 passed, 1 skipped" in run.stdout
    assert "no CUDA device" in run.stdout
    assert len(list((tmp_path / "results").glob("*.json"))) == 1
