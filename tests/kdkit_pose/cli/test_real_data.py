"""The commands on real COCO pictures."""

import json
from pathlib import Path

import pytest

REAL = Path(__file__).parents[4] / "shared" / "data" / "coco-pose-mini"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")


@pytest.fixture(scope="module")
def student(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "run"
    run(
        *("train", "--model", "hrnet_w8_small", "--epochs", 1, "--input-size", "64x64", "--out", out),
        *("--train-annotations", REAL / "annotations" / "person_keypoints_train2017.json"),
        *("--images", REAL / "images"),
    )
    return out / "student.safetensors"


@pytest.mark.parametrize(
    ("truth", "boxes", "persons", "source"),
    [
        ("val2017", None, 301, "ground truth"),
        ("val2017_detected", "person_detections_AP_H_56_val2017.json", 2352, "detector"),
    ],
)
def test_evaluated_and_scored_alike(student, run, tmp_path, truth, boxes, persons, source):
    annotations = REAL / "annotations" / f"person_keypoints_{truth}.json"
    results, found, scored = (tmp_path / name for name in ("r.json", "a.json", "b.json"))
    text = run(
        *("evaluate", "--checkpoint", student, "--annotations", annotations, "--images", REAL / "images"),
        *(("--boxes", REAL / "annotations" / boxes) if boxes else ()),
        *("--no-flip", "--batch-size", 128, "--results", results, "--json", found),
    )
    assert f"{persons} persons" in text
    assert f"{source} boxes, flip test off" in text
    printed = run(
        *("score", "--annotations", annotations, "--results", results, "--boxes", source, "--json", scored)
    )
    figures = json.loads(found.read_text())
    assert figures == json.loads(scored.read_text())
    assert figures["boxes"] == source
    # An epoch on 231 persons teaches next to nothing.
    assert 0 <= figures["AP"] < 0.3
    assert f"{figures['AP']:.3f}" in printed
    assert json.loads(results.read_text())
