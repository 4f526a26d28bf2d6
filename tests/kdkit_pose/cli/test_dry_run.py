"""Ten planted mistakes and more: each is found by --dry-run, and the run's folder is as it was."""

import json
import os
import re
import shutil
import time
from types import SimpleNamespace

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .conftest import invoke

NET = "hrnet_w8_small"


@pytest.fixture
def setup(chain, tmp_path):
    """A sound distillation, as the options by name."""
    return {
        "--recipe": "odkd",
        "--student": NET,
        "--primary": chain.student("primary"),
        "--senior": chain.student("senior"),
        "--train-annotations": chain.val.with_name("person_keypoints_train.json"),
        "--images": chain.images,
        "--val-annotations": chain.val,
        "--epochs": 2,
        "--batch-size": 4,
        "--out": tmp_path / "out",
    }


def command(setup: dict) -> list:
    return ["distill", "--dry-run", *(part for pair in setup.items() for part in pair)]


def changed(chain, tmp_path, change) -> object:
    """The training annotations with a change."""
    content = json.loads(chain.val.with_name("person_keypoints_train.json").read_text())
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    return path


def copied_images(chain, tmp_path):
    """A copy of the pictures, and one of the training's."""
    folder = tmp_path / "images"
    shutil.copytree(chain.images, folder)
    content = json.loads(chain.val.with_name("person_keypoints_train.json").read_text())
    persons = {one["image_id"] for one in content["annotations"] if one["num_keypoints"]}
    names = [image["file_name"] for image in content["images"] if image["id"] in persons]
    return folder, folder / names[-1]


def rewrite(path, other, change) -> None:
    """Write a network's file with other weights."""
    weights = load_file(path)
    change(weights)
    with safe_open(path, "pt") as file:
        save_file(weights, other, file.metadata())


def wrong_width(setup, chain, tmp_path):
    setup["--primary-model"] = "hrnet_w32"
    return "this file is a small HRNet-W8, the network built is HRNet-W32"


def exchanged_teachers(setup, chain, tmp_path):
    setup["--primary"], setup["--senior"] = setup["--senior"], setup["--primary"]
    return "are their files exchanged?"


def missing_image(setup, chain, tmp_path):
    setup["--images"], path = copied_images(chain, tmp_path)
    setup["--val-images"] = chain.images
    path.unlink()
    return "training persons cannot be seen: picture is missing"


def missing_image_of_the_validation(setup, chain, tmp_path):
    content = chain.content()
    setup["--val-images"] = tmp_path / "val"
    shutil.copytree(chain.images, tmp_path / "val")
    (tmp_path / "val" / content["images"][0]["file_name"]).unlink()
    return "validation persons cannot be seen: picture is missing"


def image_that_is_none(setup, chain, tmp_path):
    setup["--images"], path = copied_images(chain, tmp_path)
    path.write_bytes(b"this is no picture" * 100)
    return f"{path}: cannot be decoded"


def image_cut_short(setup, chain, tmp_path):
    setup["--images"], path = copied_images(chain, tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    return "picture is truncated"


def wrong_skeleton(setup, chain, tmp_path):
    setup["--skeleton"] = "crowdpose"
    return "crowdpose"


def data_of_other_keypoints(setup, chain, tmp_path):
    def rename(content):
        names = content["categories"][0]["keypoints"]
        names[5], names[6] = names[6], names[5]

    setup["--train-annotations"] = changed(chain, tmp_path, rename)
    return "has 17 keypoints of its own"


def wrong_codec(setup, chain, tmp_path):
    setup["--codec"] = "udp"
    return "the options ask for"


def wrong_input_size(setup, chain, tmp_path):
    setup["--input-size"] = "128x96"
    return "the options ask for"


def nan_in_a_teacher(setup, chain, tmp_path):
    def spoil(weights):
        weights["final_layer.weight"].view(-1)[3] = float("nan")

    rewrite(setup["--senior"], tmp_path / "broken.safetensors", spoil)
    setup["--senior"] = tmp_path / "broken.safetensors"
    return "teacher 'senior' has weights that are NaN or infinite, in 'final_layer.weight'"


def no_masks(setup, chain, tmp_path):
    def strip(content):
        for one in content["annotations"]:
            one["segmentation"] = []

    setup["--train-annotations"] = changed(chain, tmp_path, strip)
    return "reads each person's mask, and none of the"


def cache_of_another_teacher(setup, chain, tmp_path):
    made_of, other = setup["--senior"], tmp_path / "other.safetensors"
    data = ("--annotations", setup["--train-annotations"], "--images", setup["--images"])
    invoke("cache", "build", "--teacher", made_of, *data, "--views", 1, "--out", tmp_path / "cache")
    rewrite(made_of, other, lambda weights: weights["final_layer.weight"].mul_(1.1))
    setup["--senior"], setup["--senior-cache"] = other, tmp_path / "cache"
    return "--senior-cache: "


def batch_too_large(setup, chain, tmp_path):
    setup["--batch-size"] = 1000
    return "the batch size is 1000"


def folder_below_a_file(setup, chain, tmp_path):
    (tmp_path / "file").write_text("")
    setup["--out"] = tmp_path / "file" / "run"
    return "cannot be made"


def folder_of_another_run(setup, chain, tmp_path):
    setup["--out"], setup["--seed"] = chain.folder / "odkd", 5
    return "holds another run"


MISTAKES = (
    *(wrong_width, exchanged_teachers, missing_image, missing_image_of_the_validation, image_that_is_none),
    *(image_cut_short, wrong_skeleton, data_of_other_keypoints, wrong_codec, wrong_input_size, nan_in_a_teacher),
    *(no_masks, cache_of_another_teacher, batch_too_large, folder_below_a_file, folder_of_another_run),
)


@pytest.mark.parametrize("plant", MISTAKES, ids=lambda plant: plant.__name__)
def test_a_planted_mistake_is_found(setup, chain, tmp_path, fail, plant):
    told = plant(setup, chain, tmp_path)
    out = setup["--out"]
    before = listing(out)
    assert told in fail(*command(setup))
    assert listing(out) == before


def test_a_disk_that_is_too_small_is_found(setup, fail, monkeypatch):
    usage = SimpleNamespace(free=10_000)
    monkeypatch.setattr("kdkit.training.dry_running.shutil.disk_usage", lambda path: usage)
    assert "10.0 kB are free: make room" in fail(*command(setup))
    assert not setup["--out"].exists()


def test_a_folder_that_must_not_be_written_to_is_found(setup, fail, monkeypatch):
    access = os.access

    def but_not_written(path, mode, **options):
        return not mode & os.W_OK and access(path, mode, **options)

    # Root may write to any folder, whatever its mode says.
    monkeypatch.setattr(os, "access", but_not_written)
    assert "cannot be written to" in fail(*command(setup))
    assert not setup["--out"].exists()


def test_all_problems_are_named_at_once(setup, chain, tmp_path, fail):
    wanted = [plant(setup, chain, tmp_path) for plant in (exchanged_teachers, missing_image)]
    line = fail(*command(setup))
    assert all(told in line for told in wanted)


def test_a_sound_set_up_passes_within_a_minute(setup, run):
    started = time.monotonic()
    printed = run(*command(setup))
    assert time.monotonic() - started < 60
    for part in ("stage primary", "stage senior", "evaluation", "checkpoint", "training pictures", "memory"):
        assert part in printed
    assert re.search(r"teacher senior +AP 0\.\d+ .*of the first 8 persons", printed)
    assert "minutes without evaluations" in printed
    assert "all is well" in printed
    assert "problem" not in printed
    assert not setup["--out"].exists()


def test_a_training_has_one_too(setup, run, chain, fail, tmp_path):
    options = {key: setup[key] for key in ("--train-annotations", "--images", "--val-annotations", "--epochs")}
    train = ["train", "--dry-run", "--model", NET, "--input-size", "64x64", "--batch-size", 4]
    train += [part for pair in options.items() for part in pair]
    printed = run(*train, "--out", tmp_path / "out")
    assert "stage supervised" in printed
    assert "all is well" in printed
    images, path = copied_images(chain, tmp_path)
    path.unlink()
    told = fail(*train, "--images", images, "--out", tmp_path / "out", "--val-images", chain.images)
    assert "picture is missing" in told
    assert not (tmp_path / "out").exists()


def listing(folder) -> dict:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")} if folder.is_dir() else {}
