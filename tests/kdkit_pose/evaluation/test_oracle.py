"""The protocol on real annotations: how near encoding and decoding come to the true keypoints, in AP."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ANNOTATIONS = ROOT.parent / "shared/data/coco-pose-mini/annotations/person_keypoints_val2017.json"
pytestmark = pytest.mark.skipif(not ANNOTATIONS.exists(), reason=f"real annotations are not at {ANNOTATIONS}")


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oracle_ap", ROOT / "benchmarks/oracle_ap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        # Dataclasses look their module up while they are made.
        patch.setitem(sys.modules, "oracle_ap", module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def annotations() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(ANNOTATIONS.read_text())
    return content


@pytest.mark.parametrize(
    ("method", "size", "least"),
    [
        ("exact, clipped to the crop", (192, 256), 0.985),
        ("MSRA", (192, 256), 0.97),
        ("DARK", (192, 256), 0.98),
        ("DARK", (96, 128), 0.98),
        ("DARK, binarized at 0.5, centroid", (192, 256), 0.97),
        ("DARK, binarized at 0.5, centroid", (96, 128), 0.97),
    ],
)
def test_oracle_ap(benchmark_module, annotations, method, size, least):
    assert benchmark_module.oracle_ap(annotations, method, size) >= least


def test_small_inputs_need_an_unbiased_codec(benchmark_module, annotations):
    assert benchmark_module.oracle_ap(annotations, "MSRA", (96, 128)) < 0.9
