"""A study's students by each decoder: what is judged, and how the page tells it."""

import json

import pytest

from benchmarks import ablation_decoders, ablation_page
from benchmarks.ablation.study_file import StudyFile
from benchmarks.ablation.tables import decoders_table
from kdkit_pose import models
from kdkit_pose.ablation import SMALL
from kdkit_pose.codecs import DARK
from kdkit_pose.data import loader
from kdkit_pose.evaluation import Evaluator


def arguments(study, rows, out):
    return ["--study", str(study), "--rows", rows, "--json", str(out)]


def test_students_are_judged_by_each_decoder_as_an_evaluator_does(study, tmp_path, capsys):
    out = tmp_path / "decoders" / "small.json"
    ablation_decoders.main(arguments(study, "plain,odkd", out))
    content = json.loads(out.read_text())
    assert {row: list(by_seed) for row, by_seed in content["AP"].items()} == {
        "plain": ["0", "1"],
        "odkd": ["0", "1"],
    }
    assert content["own"] == {"plain": "peak", "odkd": "peak"}
    assert content["machine"]["name"]
    assert content["versions"]["torch"]
    student = study / "odkd" / "seed-1" / "run" / "student.safetensors"
    data = ablation_decoders.persons_of(study, None, None, student)
    for decoder in ("peak", "centroid"):
        codec = DARK((64, 64), SMALL.sigma, decoder)
        expected = Evaluator(loader(data, 2), data.coco_dict(), codec)(models.load(student))["val/AP"]
        assert content["AP"]["odkd"]["1"][decoder] == pytest.approx(expected, abs=1e-6)
    assert "odkd, seed 1: AP by peak " in capsys.readouterr().out


def test_a_row_without_a_student_is_named_before_anything_is_judged(study, tmp_path):
    out = tmp_path / "small.json"
    with pytest.raises(SystemExit, match="has no finished student of fpd, joint"):
        ablation_decoders.main(arguments(study, "plain,fpd,joint", out))
    assert not out.exists()


def test_the_page_tells_rows_differences_with_their_intervals():
    decoders = {
        "own": {"plain": "peak", "odkd_both": "centroid"},
        "AP": {
            "plain": {"0": {"peak": 0.30, "centroid": 0.29}, "1": {"peak": 0.32, "centroid": 0.29}},
            "odkd_both": {"0": {"peak": 0.30, "centroid": 0.31}, "1": {"peak": 0.31, "centroid": 0.3202}},
        },
    }
    table = decoders_table(StudyFile("small", {}, decoders=decoders))
    # Student's t for one degree of freedom is 12.706; the differences are -0.01 and -0.03.
    half = 12.7062 * 0.01  # their standard deviation is that times the root of 2, which cancels the count's
    assert (
        f"| plain | peak | 2 | 0.3100 | 0.2900 | -0.0200 ({-0.02 - half:+.4f} to {-0.02 + half:+.4f}) |  |\n"
        in table
    )
    line = next(one for one in table.splitlines() if one.startswith("| odkd_both |"))
    assert line.startswith("| odkd_both | centroid | 2 | 0.3050 | 0.3151 | +0.0101 (+0.0088 to +0.0114)")
    assert line.endswith("| `*` |")
    assert decoders_table(StudyFile("small", {})) == ""


def test_every_committed_file_of_decoders_is_of_a_study_on_the_page():
    names = {path.stem for path in (ablation_page.RESULTS / "decoders").glob("*.json")}
    assert names <= {path.stem for path in ablation_page.RESULTS.glob("*.json")}
