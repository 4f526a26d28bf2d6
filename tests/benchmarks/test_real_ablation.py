"""The chain from drawn to real people, at toy size."""

import json
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.ablation.study_file import read_studies
from benchmarks.ablation_page import make_page
from kdkit import ConfigurationError
from kdkit_pose import models
from kdkit_pose.ablation import SMALL
from kdkit_pose.synthetic import SyntheticPeople, write_coco

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "coco-pose-mini"
TOY = replace(
    SMALL,
    train_pictures=4,
    val_pictures=2,
    input_size=(64, 64),
    teacher="hrnet_w8_small",
    batch_size=4,
    primary_epochs=1,
    senior_epochs=1,
    epochs=2,
    evaluations=1,
)
LENGTHS = ["--seeds", "0", "--epochs", "2", "--teacher-epochs", "1", "--batch-size", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chain")


@pytest.fixture
def compare(monkeypatch, folder):
    """Runs the script on a folder of people, with a benchmark of toy size."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = import_module("real_ablation")
    monkeypatch.setattr(script, "SMALL", TOY)
    # A process takes longer to start than to draw a few pictures.
    monkeypatch.setattr(
        "kdkit_pose.ablation.drawn_people.write_coco",
        lambda *given, workers, **options: write_coco(*given, **options),
    )

    def run(data: Path, out: str, rows: str) -> dict[str, dict]:
        files = ["--data", data, "--benchmark", folder / "benchmark", "--out", folder / out]
        words = ["real_ablation.py", *files, *LENGTHS, "--rows", rows, "--json", folder / f"{out}.json"]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        script.main()
        return {
            name: json.loads(path.read_text())
            for name, path in (("study", folder / f"{out}.json"), ("began", folder / "networks" / f"{out}.json"))
        }

    return run


def test_the_whole_chain_and_what_is_finished_is_not_done_again(compare, folder, capsys):
    for number, split in enumerate(("train", "val")):
        people = SyntheticPeople(4, seed=number, size=(128, 96))
        write_coco(people, folder / "people", f"{split}2017", first_image_id=1 + 4 * number)
    found = compare(folder / "people", "first", "plain,primary_only")
    assert [row["name"] for row in found["study"]["rows"]] == ["plain", "primary_only"]
    began = found["began"]
    learned = {name: set(metrics) for name, metrics in began["networks"].items()}
    assert learned == {"primary": {"drawn people", "real persons"}, "student": {"drawn people"}}
    assert all(0 <= one["AP"] <= 1 for metrics in began["networks"].values() for one in metrics.values())
    kept = (folder / "people" / "annotations" / f"person_keypoints_{split}2017.json" for split in ("train", "val"))
    labelled = [
        sum(one["num_keypoints"] > 0 for one in json.loads(path.read_text())["annotations"]) for path in kept
    ]
    assert list(began["persons"].values()) == labelled
    page = make_page(read_studies(folder, {}))
    assert f"{labelled[0]} real persons to train on and {labelled[1]} to be judged on" in page
    assert f"| student | {began['networks']['student']['drawn people']['AP']:.4f} |  |\n" in page
    assert "From `benchmarks/results/ablation/networks/first.json`.\n" in page
    study = json.loads((folder / "first" / "study" / "study.json").read_text())
    assert len(study["initial"]) == 64
    assert study["settings"]["schedule"] == "cosine"
    made = {path: path.read_bytes() for path in folder.rglob("metrics.jsonl")}
    # Teacher and student on drawn people, teacher and two rows on the others.
    assert len(made) == 5
    capsys.readouterr()
    assert compare(folder / "people", "first", "plain,primary_only") == found
    assert {path: path.read_bytes() for path in folder.rglob("metrics.jsonl")} == made
    printed = capsys.readouterr().out
    assert "plain, seed 0: is there" in printed
    assert "kdkit-pose evaluate" not in printed
    assert "begins" not in printed


def test_rows_by_cross_entropy_begin_from_such_a_student(compare, folder):
    for number, split in enumerate(("train", "val")):
        people = SyntheticPeople(4, seed=number, size=(128, 96))
        write_coco(people, folder / "discs", f"{split}2017", first_image_id=1 + 4 * number)
    found = compare(folder / "discs", "bce", "plain_binary_bce,primary_only_bce_alike_soft")
    assert [row["name"] for row in found["study"]["rows"]] == ["plain_binary_bce", "primary_only_bce_alike_soft"]
    assert found["began"]["networks"].keys() == {"primary_bce", "student"}
    assert models.load(folder / "bce" / "teachers" / "primary_bce" / "student.safetensors").activation == "sigmoid"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("plain,plain_binary_bce", "some learn behind a sigmoid and some without one"),
        ("binary_bce,binary_bce_alike", "some learn from a primary by squared error"),
    ],
)
def test_rows_that_cannot_begin_alike_are_refused_first(compare, folder, rows, words):
    with pytest.raises(ConfigurationError, match=words):
        compare(folder / "nothing", "refused", rows)
    assert not (folder / "refused").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")
def test_real_persons(compare, folder):
    mini = folder / "mini"
    (mini / "annotations").mkdir(parents=True)
    (mini / "images").symlink_to(REAL / "images")
    for split, pictures in (("train", 4), ("val", 3)):
        path = f"annotations/person_keypoints_{split}2017.json"
        content = json.loads((REAL / path).read_text())
        content["images"] = content["images"][:pictures]
        kept = {image["id"] for image in content["images"]}
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] in kept]
        (mini / path).write_text(json.dumps(content))
    found = compare(mini, "real", "plain,odkd")
    assert found["study"]["rows"][1]["difference"]["count"] == 1
    assert "real persons" in found["began"]["networks"]["senior"]
