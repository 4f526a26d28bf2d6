"""ablate."""

import json
from dataclasses import replace

import pytest

from kdkit_pose import models
from kdkit_pose.ablation import CORE, CORE_BCE, ROWS, SMALL
from kdkit_pose.cli import ablate
from kdkit_pose.codecs import DARK
from kdkit_pose.skeleton import COCO

NET = "hrnet_w8_small"


@pytest.fixture(scope="module")
def mine(chain):
    teachers = ["--primary", chain.student("primary"), "--senior", chain.student("senior")]
    val = ["--val-annotations", chain.val]
    return ["ablate", "--student", NET, *chain.data, *val, *teachers, "--epochs", 2, "--evaluate-every", 1]


def without_teachers(options):
    at = options.index("--primary")
    return [*options[:at], *options[at + 4 :]]


def test_rows_by_seeds_on_data_of_ones_own(mine, chain, run, tmp_path):
    out, figures = tmp_path / "study", tmp_path / "figures.json"
    grid = ["--rows", "plain,odkd", "--seeds", "0,1", "--cpu", "--out", out]
    printed = run(*mine, *grid, "--json", figures)
    assert "odkd, seed 1: begins" in printed
    assert "differences to 'plain', paired by seed" in printed
    content = json.loads(figures.read_text())
    assert [(row["name"], row["metric"]["count"]) for row in content["rows"]] == [("plain", 2), ("odkd", 2)]
    assert content["rows"][1]["difference"]["count"] == 2
    assert figures.read_text() == (out / "results.json").read_text()
    assert (
        content["config"]["train_annotations"]["path"]
        == chain.data[chain.data.index("--train-annotations") + 1].name
    )
    for name in ("differences.png", "curves.png"):
        assert (out / name).stat().st_size > 1000
    trial = json.loads((out / "odkd" / "seed-0" / "trial.json").read_text())
    assert len(trial["config"]["teachers"]["senior"]) == 64
    blind = ["--blind", mine[mine.index("--primary") + 1]]
    again = run(*mine, *blind, "--rows", "plain,odkd,fpd", "--seeds", "0", "--cpu", "--out", out)
    assert "plain, seed 0: is there" in again
    assert "fpd, seed 0: begins" in again


def test_rows_by_cross_entropy_learn_from_teachers_that_learned_so(mine, chain, run, fail, tmp_path):
    discs = ["--rows", "plain_binary_bce,binary_bce_alike_soft", "--seeds", 0, "--cpu"]
    printed = run(*mine, *discs, "--out", tmp_path / "study")
    assert "warning" not in printed
    assert "differences to 'plain_binary_bce', paired by seed" in printed
    blind = ["--blind", chain.student("primary"), "--rows", "plain_binary_bce,blind_only_bce_alike_soft"]
    printed = run(*without_teachers(mine), *blind, "--seeds", 0, "--cpu", "--out", tmp_path / "study")
    assert "blind_only_bce_alike_soft, seed 0: begins" in printed
    squares = tmp_path / "squares.safetensors"
    network = models.create(NET)
    models.save(network, squares, **DARK(input_size=(64, 64)).to_metadata(), **COCO.to_metadata())
    told = fail(*mine, "--primary", squares, *discs, "--out", tmp_path / "other")
    assert "binary_bce_alike_soft learn from teachers that learned by cross-entropy, and --primary did not" in told
    assert not (tmp_path / "other").exists()


def test_a_blind_teacher_that_reads_masks_is_refused(mine, chain, fail, tmp_path):
    rows = ["--blind", chain.student("senior"), "--rows", "plain,fpd", "--out", tmp_path / "out"]
    told = fail(*without_teachers(mine), *rows)
    assert "holds a network that reads masks, and its rows say what a teacher is worth that sees none" in told


def test_a_row_that_learns_gaussians_beside_discs_is_warned_of(mine, run, tmp_path):
    printed = run(*mine, "--rows", "plain,odkd", "--seeds", 0, "--cpu", "--out", tmp_path / "study")
    assert "warning: --primary and --senior learned discs by cross-entropy, and odkd learn Gaussians" in printed


def test_processes_share_rows_and_heatmaps(mine, run, tmp_path):
    out = tmp_path / "study"
    grid = ["--rows", "plain,odkd", "--seeds", "0,1", "--cpu", "--share-targets", "--processes", 2, "--out", out]
    printed = run(*mine, *grid)
    assert "differences to 'plain', paired by seed" in printed
    report = json.loads((out / "results.json").read_text())
    assert {name: len(trials) for name, trials in report["trials"].items()} == {"plain": 2, "odkd": 2}
    assert "shared" in report["config"]["targets"]
    assert {path.name for path in (out / "targets").iterdir()} == {
        f"{role}-seed-{seed}" for role in ("primary", "senior") for seed in (0, 1)
    }


@pytest.mark.parametrize("size", ["small", "long"])
def test_the_benchmark_brings_all(run, monkeypatch, tmp_path, size):
    toy = replace(
        SMALL,
        train_pictures=4,
        val_pictures=2,
        input_size=(64, 64),
        teacher=NET,
        student=NET,
        batch_size=4,
        primary_epochs=1,
        senior_epochs=1,
        epochs=2,
        evaluations=1,
    )
    monkeypatch.setattr(ablate, size.upper(), toy)
    grid = ["--rows", "plain,odkd", "--seeds", "0"]
    printed = run("ablate", "--synthetic", size, "--labels", "coco", *grid, "--cpu", "--out", tmp_path)
    assert "teacher senior: hrnet_w8_small, 1 epochs" in printed
    content = json.loads((tmp_path / f"coco-{NET}" / "results.json").read_text())
    assert list(content["trials"]) == ["plain", "odkd"]
    assert content["config"]["benchmark"]["labels"] == "coco"
    assert content["about"]["teachers"]["senior"].keys() >= {"val/AP", "val/AP_people", "val/AP_crowds"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rows", "plain,odk"], "no rows ['odk'], only plain"),
        (["--rows", "plain"], "an ablation compares two variants"),
        (["--rows", "plain,fpd"], "the rows learn from teachers that are not given: --blind"),
        (["--rows", "plain_binary_bce,blind_only_bce_alike_soft"], "teachers that are not given: --blind"),
        (["--rows", "plain,odkd", "--seeds", "0,x"], "--seeds are whole numbers parted by commas, such as 0,1,2"),
        (["--rows", "plain,odkd", "--labels", "coco"], "--labels would change nothing: needs --synthetic"),
        (["--rows", "plain,primary_only", "--senior", "no.pth"], "--senior would change nothing: no row learns"),
        (["--synthetic", "small"], "would change nothing: --synthetic brings its own"),
    ],
)
def test_what_does_not_fit_is_refused_first(mine, fail, tmp_path, options, words):
    assert words in fail(*mine, *options, "--out", tmp_path / "out")
    assert not list(tmp_path.glob("out/*/seed-*"))


def test_one_row_is_refused_before_teachers_are_trained(fail, tmp_path):
    message = fail("ablate", "--synthetic", "small", "--rows", "odkd", "--out", tmp_path / "out")
    assert "compares two variants" in message
    assert not (tmp_path / "out").exists()


def test_what_is_needed_is_named(fail, tmp_path):
    message = fail("ablate", "--out", tmp_path / "out")
    assert "give --student, --train-annotations, --images, --val-annotations" in message
    assert "or --synthetic small" in message


def test_rows_are_listed_with_what_they_are(run):
    lines = run("ablate", "--list-rows").splitlines()
    assert set(ROWS) <= {line.split(" ")[0] for line in lines}
    assert any(
        line.endswith("  binary_bce_alike_soft, the senior first [primary_bce, senior_bce]") for line in lines
    )
    assert f"core_bce: {', '.join(CORE_BCE)}" in lines


def test_core_may_stand_among_others():
    assert ablate.Grid("core").names == CORE
    assert ablate.Grid("plain, odkd_late,core").names == ("plain", "odkd_late", *CORE[1:])
    assert ablate.Grid("core_bce").names == CORE_BCE
    assert ablate.Grid("core,all").names[: len(CORE)] == CORE
    assert set(ablate.Grid("all").names) == set(ROWS)
