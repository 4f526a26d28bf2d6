"""Every student of `benchmarks/every_student.py` through the export that `kdkit-pose export` makes."""

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from kdkit_pose import models
from kdkit_pose.codecs import DARK
from kdkit_pose.export import to_onnx
from kdkit_pose.models import LiteHRNet, StackedHourglass, hourglass_config
from kdkit_pose.models.litehrnet_config import CONFIGS

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def benchmark(name: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return import_module(name)


EVERY_STUDENT: Any = benchmark("every_student")
# The exporter takes too long for them: they are others with more modules or channels, see the tests below.
SHORTEST_LITEHRNET = replace(CONFIGS["litehrnet_18"], modules=(1, 1, 1))
TWO_STACKS = replace(hourglass_config.CONFIGS["hourglass4_128"], stacks=2)
LONGER = {
    "hourglass4_128": "two stacks",
    "litehrnet_18": "shortest litehrnet",
    "litehrnet_30": "shortest litehrnet",
    "hrnet_w16": "hrnet_w8_small",
}
SHORT = [LONGER.get(name, name) for name in EVERY_STUDENT.STUDENTS]


def create(name: str) -> models.PoseNetwork:
    if name == "shortest litehrnet":
        return LiteHRNet("litehrnet_18", SHORTEST_LITEHRNET, 17, "none", ())
    if name == "two stacks":
        return StackedHourglass("hourglass4_128", TWO_STACKS, 17)
    return models.create(name)


@pytest.fixture
def as_if_trained() -> Callable[..., models.PoseNetwork]:
    """Gives networks heatmaps that are about 1 high: differences then count."""
    made: Callable[..., models.PoseNetwork] = benchmark("onnx_parity").as_if_trained
    return made


@pytest.mark.parametrize("name", sorted(set(SHORT)))
def test_every_student_computes_the_same_in_onnxruntime(
    as_if_trained: Callable[..., models.PoseNetwork], name: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = as_if_trained(create(name), (64, 64))
    parity = to_onnx(network, tmp_path / "student.onnx", DARK(input_size=(64, 64))).parity
    assert parity.difference < EVERY_STUDENT.LARGEST_DIFFERENCE == 1e-4
    assert parity.peak > 0.5


@pytest.mark.parametrize("name", ["litehrnet_18", "litehrnet_30"])
def test_a_longer_litehrnet_has_more_modules_and_nothing_else(name: str) -> None:
    shortest, longer = SHORTEST_LITEHRNET, CONFIGS[name]
    assert replace(longer, title=shortest.title, modules=shortest.modules) == shortest
    assert all(more > less for more, less in zip(longer.modules, shortest.modules, strict=True))


def test_four_stacks_are_two_with_more_of_the_same() -> None:
    whole = hourglass_config.CONFIGS["hourglass4_128"]
    assert replace(whole, title=TWO_STACKS.title, stacks=2) == TWO_STACKS
    assert whole.stacks > 2


@pytest.mark.parametrize("name", LONGER)
def test_a_longer_student_is_made_of_the_same_kinds_of_modules(name: str) -> None:
    kinds = [{type(part) for part in create(one).modules()} for one in (name, LONGER[name])]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"steps": 49}, "49 steps, not 50"),
        ({"steps": 51}, "51 steps, not 50"),
        ({"predicted": 0}, "nobody was predicted"),
        ({"onnx": 1e-4}, "its ONNX file differs by 1.0e-04"),
        ({"onnx": float("nan")}, "its ONNX file differs by nan"),
    ],
)
def test_the_benchmark_names_who_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: dict[str, Any], problem: str | None
) -> None:
    found = {"steps": 50, "AP": 0.0, "predicted": 1, "onnx": 9.9e-5}
    (tmp_path / "person_keypoints_train2017.json").write_text('{"annotations": []}')
    monkeypatch.setattr(EVERY_STUDENT, "teachers", lambda *_: {})
    monkeypatch.setattr(
        EVERY_STUDENT, "go_through", lambda name, *_: {**found, **(change if name == "second" else {})}
    )
    options = ["--annotations", str(tmp_path), "--images", ".", "--students", "first", "second", "third"]
    monkeypatch.setattr(sys, "argv", ["every_student.py", *options])
    if problem is None:
        EVERY_STUDENT.main()
        return
    with pytest.raises(SystemExit) as caught:
        EVERY_STUDENT.main()
    # A message is printed, and the exit code is 1.
    assert caught.value.code == f"second: {problem}"
