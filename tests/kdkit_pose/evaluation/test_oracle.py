"""The protocol on real annotations: how near encoding and decoding come to the true keypoints."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kdkit_pose import codecs

ROOT = Path(__file__).parents[3]
ANNOTATIONS = ROOT.parent / "shared/data/coco-pose-mini/annotations/person_keypoints_val2017.json"
pytestmark = pytest.mark.skipif(not ANNOTATIONS.exists(), reason=f"real annotations are not at {ANNOTATIONS}")


@pytest.fixture(scope="module")
def benchmark_folder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield


@pytest.fixture(scope="module")
def study(benchmark_folder) -> ModuleType:
    return import_module("oracle_ap")


@pytest.fixture(scope="module")
def real_persons(study) -> tuple[dict[str, Any], list[Any]]:
    found: tuple[dict[str, Any], list[Any]] = study.read(ANNOTATIONS)
    return found


@pytest.fixture(scope="module")
def exact_ap(study, real_persons) -> float:
    return float(study.oracle_ap(*real_persons, study.Case(codecs.DARK(), exact=True)))


@pytest.mark.parametrize("size", [(192, 256), (96, 128)])
@pytest.mark.parametrize("name", ["dark", "udp"])
def test_unbiased_codecs_reach_what_exact_keypoints_score(study, real_persons, exact_ap, name, size):
    assert exact_ap > 0.985
    assert study.oracle_ap(*real_persons, study.Case(codecs.create(name, size))) >= exact_ap - 0.005


def test_the_plain_codec_needs_a_large_input(study, real_persons):
    assert study.oracle_ap(*real_persons, study.Case(codecs.MSRA())) >= 0.97
    assert study.oracle_ap(*real_persons, study.Case(codecs.MSRA((96, 128)))) < 0.9


@pytest.mark.parametrize("size", [(192, 256), (96, 128)])
@pytest.mark.parametrize("name", ["dark", "udp"])
@pytest.mark.parametrize("threshold", [0.5])
def test_discs_are_decoded_by_their_centroid(study, real_persons, name, size, threshold):
    codec = codecs.create(name, size, decoder="centroid")
    assert study.oracle_ap(*real_persons, study.Case(codec, threshold)) >= 0.97


@pytest.mark.parametrize("size", ["256x192", "128x96"])
def test_keypoints_inside_the_crop_come_back(benchmark_folder, real_persons, size):
    module = import_module("codec_error")
    for codec in import_module("oracle_persons").codecs_of_size(size):
        found = module.errors(codec, real_persons[1])
        assert len(found) > 3000
        if codec.name != "msra":
            assert np.median(found) < 0.02
            assert found.mean() < 0.1
