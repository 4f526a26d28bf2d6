"""pack, and what train and distill make of packed persons."""

import json

import pytest

from kdkit_pose import models
from kdkit_pose.data.packing.header import Header
from kdkit_pose.skeleton import Skeleton

NET = "hrnet_w8_small"


@pytest.fixture(scope="session")
def packed(chain, run, tmp_path_factory):
    """The folder of the chain's packed training persons, and what packing them printed."""
    train = chain.val.with_name("person_keypoints_train.json")
    out = tmp_path_factory.mktemp("packs") / "train"
    files = ["--annotations", train, "--images", chain.images, "--out", out]
    return out, run("pack", *files, "--input-size", "64x64", "--oversample", 100)


def losses(run_folder):
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss/total"] for line in lines]


def test_pack_says_what_it_made(packed):
    out, printed = packed
    header = Header.read(out / "header.json")
    assert f"{header.persons} persons in" in printed
    assert f"written: {out} (" in printed
    assert "MB a person" in printed
    assert header.has_masks
    assert header.augment is not None
    assert (header.input_size, header.oversample, header.unlabelled) == ((64, 64), 100, "leave out")


def test_a_student_learns_from_packed_persons_as_from_pictures(chain, run, packed, tmp_path):
    same = ["--model", NET, *chain.data, "--epochs", 2, "--input-size", "64x64", "--mask-fusion", "concat"]
    run("train", *same, "--out", tmp_path / "pictures")
    printed = run("train", *same, "--out", tmp_path / "packed", "--packed", packed[0])
    assert f"training persons, packed in '{packed[0]}'" in printed
    # A level of a pixel here and there is all that differs, which steps of Adam make more of.
    pictures, from_packed = (losses(tmp_path / name) for name in ("pictures", "packed"))
    assert len(pictures) == 2
    assert from_packed == pytest.approx(pictures, rel=5e-3)


@pytest.mark.parametrize("recipe", [[], ["--recipe", "primary_only"]])
def test_the_student_knows_the_run_s_sigmas_and_not_those_of_the_packing(chain, run, packed, tmp_path, recipe):
    sigmas = ",".join(["0.9"] * 17)
    size = ["--epochs", 1, "--out", tmp_path / "run", "--packed", packed[0], "--sigmas", sigmas]
    if recipe:
        run("distill", *recipe, "--student", NET, *chain.data, *size, "--primary", chain.student("primary"))
    else:
        run("train", "--model", NET, *chain.data, *size, "--input-size", "64x64")
    known = Skeleton.from_metadata(models.read_metadata(tmp_path / "run" / "student.safetensors"))
    assert known.sigmas == (0.9,) * 17


def test_another_runs_folder_is_noticed(chain, fail, run, packed, tmp_path):
    same = ["--model", NET, *chain.data, "--epochs", 1, "--input-size", "64x64", "--out", tmp_path / "run"]
    run("train", *same, "--packed", packed[0])
    assert "differs in the training data" in fail("train", *same)


def test_a_student_is_distilled_on_packed_persons(chain, run, packed, tmp_path):
    run(
        *("distill", "--recipe", "odkd", "--student", NET, *chain.data, "--out", tmp_path / "run", "--epochs", 2),
        *("--primary", chain.student("primary"), "--senior", chain.student("senior"), "--packed", packed[0]),
    )
    assert (tmp_path / "run" / "student.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--input-size", "128x128"], "packed for inputs of 64x64"),
        (["--predicted-masks", "masks.json", "--mask-fusion", "concat"], "settled by kdkit-pose pack"),
    ],
)
def test_what_does_not_fit_is_refused(chain, fail, packed, tmp_path, options, words):
    size = [] if "--input-size" in options else ["--input-size", "64x64"]
    arguments = ["--model", NET, *chain.data, *size, "--out", tmp_path / "run", "--packed", packed[0], *options]
    assert words in fail("train", *arguments)
    assert not (tmp_path / "run").exists()


def test_other_persons_are_refused(chain, fail, packed, run, tmp_path):
    out, _ = packed
    given = ["--input-size", "64x64", "--out", tmp_path / "run", "--packed"]
    val = ["--train-annotations", chain.val, "--images", chain.images]
    assert "other --train-annotations" in fail("train", "--model", NET, *val, "--batch-size", 4, *given, out)
    taught = ["--recipe", "fpd", "--primary", chain.student("primary"), "--alpha", 1, "--keep-unlabelled"]
    assert "without --keep-unlabelled" in fail("distill", *taught, "--student", NET, *chain.data, *given, out)
    train = chain.val.with_name("person_keypoints_train.json")
    files = ["--annotations", train, "--images", chain.images, "--input-size", "64x64"]
    bare = tmp_path / "bare"
    run("pack", *files, "--out", bare, "--no-masks", "--no-augment", "--keep-unlabelled")
    same = ["train", "--model", NET, *chain.data, *given, bare]
    assert "without the room" in fail(*same)
    assert "with --keep-unlabelled" in fail(*same, "--no-augment")
    assert "packed without masks" in fail(*same, "--no-augment", "--mask-fusion", "concat")
    assert "no packed persons" in fail(*same[:-1], chain.images)


def test_options_of_pack_that_would_change_nothing(chain, fail, tmp_path):
    files = ["--annotations", chain.val, "--images", chain.images, "--out", tmp_path / "out"]
    assert "give --boxes too" in fail("pack", *files, "--box-threshold", 0.5)
    assert "no masks are kept" in fail("pack", *files, "--no-masks", "--predicted-masks", "masks.json")
    assert not (tmp_path / "out").exists()
