"""Samples a second of one core, at 256x192: persons packed, and decoded, against a stand-in for mmpose's pipeline.

What is compared is what a loader hands over, in bytes or normalized; "prepared" and "preprocessed" say where the
same core does what is otherwise left to the training's device. benchmarks/mmpose_loader.py measures the package
itself, and how faithful the stand-in is.

The persons are synthetic, in JPEG files of COCO's usual size. Others are named by ``KDKIT_ANNOTATIONS`` and
``KDKIT_IMAGES``:

    KDKIT_ANNOTATIONS=person_keypoints_val2017.json KDKIT_IMAGES=val2017 \\
        python -m pytest -c benchmarks/suites/pytest.ini benchmarks/suites/loader_bench.py
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring import Speed
from benchmarks.reference.mmpose_pipeline import ReferencePipeline
from kdkit_pose import Augment, CocoKeypoints, SyntheticPeople
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import PackedKeypoints, PoseDataset, pack
from kdkit_pose.data.collating import collate
from kdkit_pose.synthetic import write_coco

CODEC = MSRA((192, 256))
STAND_IN = "stand-in for mmpose's pipeline"
PREPARED, PREPROCESSED = "packed, prepared by the same core", f"{STAND_IN}, preprocessed by the same core"
Pairs = Sequence[tuple[int, int]]


@pytest.fixture(scope="module")
def files(toy: bool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The annotations, the folder of the pictures, and what they are."""
    if "KDKIT_ANNOTATIONS" in os.environ:
        path = Path(os.environ["KDKIT_ANNOTATIONS"])
        return path, Path(os.environ["KDKIT_IMAGES"]), path.stem
    folder = tmp_path_factory.mktemp("people")
    people = SyntheticPeople(2 if toy else 40, seed=0, size=(640, 480))
    return write_coco(people, folder, "train"), folder / "images", "synthetic people"


@pytest.fixture(scope="module")
def decoded(files: tuple[Path, Path, str]) -> Callable[[bool], CocoKeypoints]:
    """The persons, with masks or without."""

    def make(masks: bool) -> CocoKeypoints:
        return CocoKeypoints(files[0], files[1], codec=CODEC, augment=Augment(), masks=masks)

    return make


@pytest.fixture(scope="module")
def packed(
    decoded: Callable[[bool], CocoKeypoints], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[bool], PackedKeypoints]:
    """The persons packed, with masks or without."""
    path = pack(decoded(True), tmp_path_factory.mktemp("packed") / "persons")
    return lambda masks: PackedKeypoints(path, codec=CODEC, augment=Augment(), masks=masks)


@pytest.fixture(scope="module")
def reference(files: tuple[Path, Path, str]) -> ReferencePipeline:
    return ReferencePipeline(json.loads(files[0].read_text()), files[1], CODEC.input_size)


def handed_over(pipeline: ReferencePipeline) -> Callable[[Pairs], object]:
    """What the stand-in's loader does for a batch."""
    return lambda pairs: pipeline.samples([row % len(pipeline) for row, _ in pairs])


def preprocessed(pipeline: ReferencePipeline) -> Callable[[Pairs], object]:
    """The same, and what is otherwise the device's."""
    return lambda pairs: pipeline.batch([row % len(pipeline) for row, _ in pairs])


def reading(data: PoseDataset) -> Callable[[Pairs], object]:
    """What a loader without workers does for a batch."""
    return lambda pairs: collate(data.__getitems__(pairs))  # type: ignore[attr-defined]


def and_prepared(data: PackedKeypoints) -> Callable[[Pairs], object]:
    """The same, and what is otherwise the device's."""
    return lambda pairs: data.prepare(collate(data.__getitems__(pairs)))


def batches(persons: int, toy: bool) -> list[Pairs]:
    """Some batches of persons in any order, each in a view of its own."""
    draw = np.random.default_rng(0)
    size = 4 if toy else 32
    return [[(int(row), view) for row in draw.integers(persons, size=size)] for view in range(1 if toy else 8)]


def test_packed(
    compare: Callable[..., Any], one_core: None, toy: bool, packed: Any, reference: Any, files: Any
) -> None:
    data = packed(False)
    candidates = {
        "packed": reading(data),
        STAND_IN: handed_over(reference),
        "packed, with masks": reading(packed(True)),
    }
    target = {label: Speed() for label in candidates if label != "packed"} | {STAND_IN: Speed(at_least=8)}
    compare(f"packed persons, 256x192, {files[2]}", candidates, target, inputs=batches(len(data), toy), seconds=20)


def test_packed_and_prepared_by_the_same_core(
    compare: Callable[..., Any], one_core: None, toy: bool, packed: Any, reference: Any, files: Any
) -> None:
    data = packed(False)
    candidates = {PREPARED: and_prepared(data), PREPROCESSED: preprocessed(reference)}
    name = f"packed persons and their targets, 256x192, {files[2]}"
    compare(name, candidates, Speed(), inputs=batches(len(data), toy), seconds=12)


def test_decoded(
    compare: Callable[..., Any], one_core: None, toy: bool, decoded: Any, reference: Any, files: Any
) -> None:
    data = decoded(False)
    candidates = {
        "decoded": reading(data),
        STAND_IN: handed_over(reference),
        "decoded, with masks": reading(decoded(True)),
    }
    target = {STAND_IN: Speed(at_least=1.3), "decoded, with masks": Speed()}
    compare(
        f"decoded persons, 256x192, {files[2]}", candidates, target, inputs=batches(len(data), toy), seconds=20
    )
