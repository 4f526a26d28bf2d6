"""synthesize, train, train, distill, evaluate, score."""

import json
import shlex
import shutil

import pytest
import torch

from kdkit_pose import codecs, models
from kdkit_pose.cli.show import FIGURES
from kdkit_pose.cli.training_data import TrainingData
from kdkit_pose.codecs import DARK
from kdkit_pose.data import CocoKeypoints

KEYS = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL", "boxes"]


@pytest.fixture
def evaluated(chain):
    return ["--annotations", chain.val, "--images", chain.images]


def test_figures_are_the_contracts():
    assert [*FIGURES, "boxes"] == KEYS


def test_evaluate_and_score_agree_to_the_bit(chain, run, tmp_path):
    content = chain.content()
    for person in content["annotations"]:
        # Persons so large that OKS forgives even this student.
        person["area"] = 3e5
    truth, found, scored, results = (tmp_path / name for name in ("t.json", "a.json", "b.json", "r.json"))
    truth.write_text(json.dumps(content))
    evaluated = ["--annotations", truth, "--images", chain.images, "--results", results, "--json", found]
    text = run("evaluate", "--checkpoint", chain.student("odkd"), *evaluated)
    run("score", "--annotations", truth, "--results", results, "--boxes", "ground truth", "--json", scored)
    figures = json.loads(found.read_text())
    assert list(figures) == KEYS
    assert figures == json.loads(scored.read_text())
    assert figures["boxes"] == "ground truth"
    assert 0 < figures["AP"] < 1
    assert figures["APM"] is figures["ARM"] is None
    assert f"{figures['AP']:.3f}" in text
    assert "ground truth boxes" in text


def test_a_perfect_result_has_ap_1_and_sizes_nobody_has_are_null(chain, run, tmp_path):
    content = chain.content()
    people = [one for one in content["annotations"] if one["num_keypoints"]]
    for person in content["annotations"]:
        person["area"] = 50.0**2
    truth, perfect = tmp_path / "truth.json", tmp_path / "perfect.json"
    truth.write_text(json.dumps(content))
    keys = ("image_id", "category_id", "keypoints")
    perfect.write_text(json.dumps([{key: one[key] for key in keys} | {"score": 1.0} for one in people]))
    text = run(
        "score",
        "--annotations",
        truth,
        "--results",
        perfect,
        "--boxes",
        "ground truth",
        "--json",
        tmp_path / "f.json",
    )
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["AP"] == figures["APM"] == pytest.approx(1)
    assert figures["APL"] is figures["ARL"] is None
    assert "no such person" in text


def test_detector_boxes_are_named(chain, run, evaluated, tmp_path):
    boxes = tmp_path / "boxes.json"
    people = chain.content()["annotations"]
    keys = ("image_id", "category_id", "bbox")
    boxes.write_text(json.dumps([{key: one[key] for key in keys} | {"score": 0.5} for one in people]))
    figures = tmp_path / "f.json"
    text = run(
        *("evaluate", "--checkpoint", chain.student("odkd"), *evaluated, "--boxes", boxes, "--json", figures),
    )
    assert json.loads(figures.read_text())["boxes"] == "detector"
    assert "detector boxes" in text
    assert "ground truth boxes" not in text


def test_the_flip_test_can_be_left_out(chain, run, evaluated):
    arguments = ("evaluate", "--checkpoint", chain.student("primary"), *evaluated)
    assert "flip test on" in run(*arguments)
    assert "flip test off" in run(*arguments, "--no-flip")


def test_the_senior_starts_as_the_primary_and_reads_masks(chain, run, evaluated, tmp_path):
    senior = models.load(chain.student("senior"))
    assert senior.inputs == ("image", "mask")
    assert "fresh, not from the file: conv1.weight[:, 3:] (zero)" in chain.printed["senior"]
    assert "ground truth boxes" in run("evaluate", "--checkpoint", chain.student("senior"), *evaluated)
    learned = models.load(chain.student("primary")).conv1.weight
    assert not torch.equal(senior.conv1.weight[:, :3], learned)


def test_the_teachers_are_evaluated_before_the_student_learns(chain):
    lines = chain.printed["odkd"].splitlines()
    assert sum(line.startswith(("teacher primary: AP", "teacher senior: AP")) for line in lines) == 2


def test_it_is_said_what_heatmaps_mean_and_why(chain):
    discs = DARK(input_size=(64, 64), decoder="centroid")
    assert f"heatmaps: {discs} (as asked for, else by default)" in chain.printed["primary"]
    senior = f"heatmaps: {discs} (as {chain.student('primary')} says)"
    assert senior in chain.printed["senior"]
    assert "the student learns discs, and is decoded by centroid\n" in chain.printed["odkd"]


def test_the_student_knows_its_network_and_its_codec(chain):
    metadata = models.read_metadata(chain.student("odkd"))
    assert codecs.from_metadata(metadata) == DARK(input_size=(64, 64), decoder="centroid")
    assert models.load(chain.student("odkd")).inputs == ("image",)
    assert codecs.from_metadata(models.read_metadata(chain.student("primary"))).decoder == "centroid"


def test_a_run_says_how_to_repeat_it(chain):
    config = json.loads((chain.folder / "odkd" / "config.json").read_text())
    assert [stage["stage"] for stage in config["curriculum"]] == ["primary", "senior"]
    settings = config["config"]
    assert settings["recipe"] == "odkd"
    assert settings["seed"] == 0
    assert config["notes"]["teachers"]["senior"] == str(chain.student("senior"))
    places = config["notes"]["files"]
    assert set(places) == {"train_annotations", "images", "val_annotations"}
    assert places["train_annotations"].endswith("person_keypoints_train.json")
    assert not [value for value in settings.values() if str(chain.folder) in str(value)]
    stages = [json.loads(line) for line in (chain.folder / "odkd" / "metrics.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in stages] == ["primary", "senior"]
    assert all("val/AP" in line for line in stages)


def test_left_out_persons_are_counted_and_named(chain, run, evaluated, tmp_path):
    content = chain.content()
    gone = content["images"][0]["file_name"]
    images = tmp_path / "images"
    for entry in content["images"][1:]:
        (images / entry["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        (images / entry["file_name"]).write_bytes((chain.images / entry["file_name"]).read_bytes())
    text = run(
        *("evaluate", "--checkpoint", chain.student("primary"), "--annotations", chain.val, "--images", images),
        "--skip-missing",
    )
    assert (
        f"picture is missing: {sum(_is_in(one, content['images'][0]) for one in content['annotations'])}" in text
    )
    assert gone in text


def _is_in(annotation, image):
    return annotation["image_id"] == image["id"] and annotation["num_keypoints"] > 0


def test_another_convention_than_the_teachers_is_refused(chain, fail, tmp_path):
    files = ("--primary", chain.student("primary"), "--senior", chain.student("senior"))
    distill = ("distill", "--student", "hrnet_w8_small", *chain.data, *files, "--out", tmp_path / "odkd")
    for option in (("--codec", "msra"), ("--input-size", "32x32"), ("--sigma", 1)):
        assert "the teachers were trained for DARK" in fail(*distill, *option)
    assert not (tmp_path / "odkd").exists()


@pytest.mark.parametrize("recipe", ["fpd", "supervised", "primary_only", "senior_only", "joint", "reversed_order"])
def test_every_recipe_runs(chain, run, tmp_path, recipe):
    teachers = {
        "fpd": ["primary"],
        "primary_only": ["primary"],
        "senior_only": ["senior"],
        "supervised": [],
    }.get(recipe, ["primary", "senior"])
    files = [part for name in teachers for part in (f"--{name}", chain.student(name))]
    # With teachers the size is theirs.
    size = () if teachers else ("--input-size", "64x64")
    text = run(
        *("distill", "--recipe", recipe, "--student", "hrnet_w8_small", *chain.data, *files, *size),
        *("--epochs", 2, "--no-augment", "--out", tmp_path / recipe),
    )
    assert str(tmp_path / recipe / "student.safetensors") in text.replace("\n", "")
    assert ("not checked" in text) == bool(teachers)
    config = json.loads((tmp_path / recipe / "config.json").read_text())
    assert set(config["config"]["teachers"]) == set(teachers)


def test_a_run_is_gone_on_with_where_the_teacher_s_file_was_moved(chain, run, tmp_path):
    moved = tmp_path / "elsewhere.safetensors"
    shutil.copy(chain.student("primary"), moved)
    same = ("distill", "--recipe", "primary_only", "--student", "hrnet_w8_small", *chain.data, "--epochs", 1)
    run(*same, "--primary", chain.student("primary"), "--out", tmp_path / "run")
    assert "epoch 1" not in run(*same, "--primary", moved, "--out", tmp_path / "run")
    notes = json.loads((tmp_path / "run" / "config.json").read_text())["notes"]
    assert notes["teachers"] == {"primary": str(chain.student("primary"))}


def test_without_teachers_the_student_s_own_file_says_codec_and_sigmas(chain, run, tmp_path):
    text = run(
        *("distill", "--recipe", "supervised", "--student", "hrnet_w8_small", *chain.data, "--epochs", 1),
        *("--checkpoint", chain.student("primary"), "--out", tmp_path / "run"),
    )
    assert f"heatmaps: DARK(64x64, sigma 2, decoder peak) (as {chain.student('primary')} says)" in text


def test_missing_validation_pictures_do_not_count_as_persons_not_found(chain, run, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(chain.images, images)
    gone = next(image for image in chain.content()["images"])
    (images / gone["file_name"]).unlink()
    text = run(
        *("train", "--model", "hrnet_w8_small", *chain.data, "--checkpoint", chain.student("primary")),
        *("--val-annotations", chain.val, "--val-images", images, "--epochs", 1, "--learning-rate", 1e-9),
        *("--out", tmp_path / "run"),
    )
    assert "AP is of the other pictures: 1 of the validation is missing" in text
    perfect = [{**one, "score": 1.0} for one in chain.content()["annotations"]]
    data = CocoKeypoints(chain.val, images, codec=DARK(input_size=(64, 64)))
    there = set(data.image_ids)
    found = TrainingData(data, data).evaluator.score([one for one in perfect if one["image_id"] in there])
    assert found["AP"] == 1.0


def test_a_resumed_command_changes_nothing(chain, run, tmp_path):
    before = (chain.folder / "primary" / "metrics.jsonl").read_text()
    run(
        *("train", "--model", "hrnet_w8_small", *chain.data, "--val-annotations", chain.val, "--epochs", 2),
        *("--evaluate-every", 1, "--input-size", "64x64", "--out", chain.folder / "primary"),
    )
    assert (chain.folder / "primary" / "metrics.jsonl").read_text() == before


def test_synthesize_annotates_as_people_do(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, options in (("exact", ()), ("people", ("--coco-labels",))):
        told = run("synthesize", "--out", tmp_path / name, "--train", 2, "--val", 1, *options)
    files = {
        (name, split): (tmp_path / name / "annotations" / f"person_keypoints_{split}.json").read_text()
        for name in ("exact", "people")
        for split in ("train", "val")
    }
    assert files["exact", "train"] != files["people", "train"]
    assert files["exact", "val"] == files["people", "val"]
    # What it says to do next can be done.
    command = shlex.split(told.splitlines()[-1])
    command[command.index("--batch-size") + 1] = "1"
    assert "runs/first/student.safetensors" in run(*command[1:-1], "runs/first")
