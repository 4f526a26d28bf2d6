"""A run folder that cannot be used is noticed before anything takes long, and told in the options' names."""

import json
import shutil

import pytest

from kdkit import RunFolderError
from kdkit_pose.cli import distill as distill_command
from kdkit_pose.cli import masks as masks_command
from kdkit_pose.cli import train as train_command
from kdkit_pose.cli.another_run import options_named
from kdkit_pose.cli.loading import content_of_weights


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("config.batch_size", ("4", "8"), "--batch-size (there 4, now 8)"),
        ("config.checkpoint.sha256", ("null", '"ab"'), "--checkpoint (there null, now ab)"),
        ("config.pretrained", ("null", '"hub"'), "--pretrained (there null, now hub)"),
        ("config.pretrained.sha256", ('"ab"', '"cd"'), "--pretrained (there ab, now cd)"),
        ("config.encoder_weights.sha256", ('"ab"', '"cd"'), "--encoder-weights (there ab, now cd)"),
        ("config.boxes", ("false", "true"), "--boxes (there false, now true)"),
        ("config.val_predicted_masks.sha256", ("null", '"ab"'), "--val-predicted-masks (there null, now ab)"),
        ("config.predicted_masks.predictor.iou", ("0.5", "0.6"), "--predicted-masks (there 0.5, now 0.6)"),
        ("config.codec.codec", ('"dark"', '"udp"'), "--codec (there dark, now udp)"),
        ("config.codec.codec_input_size", ('"192x256"', '"96x128"'), "--input-size (there 256x192, now 128x96)"),
        ("config.codec.codec_sigma", ('"2.0"', '"3.0"'), "--sigma (there 2.0, now 3.0)"),
        ("config.model.input_size", ('"192x256"', '"96x128"'), "--input-size (there 256x192, now 128x96)"),
        ("config.model.model", ('"hrnet_w32"', '"hrnet_w48"'), "--student (there hrnet_w32, now hrnet_w48)"),
        ("config.model.mask_fusion", ('"none"', '"add"'), "--mask-fusion (there none, now add)"),
        ("config.model.mask_predictor", ('"fpn"', '"unet"'), "--architecture (there fpn, now unet)"),
        ("config.caches.senior.views", ("null", '"4"'), "--senior-cache (another cache, or none)"),
        ("config.fast_teachers", ("null", "true"), "--fast-teachers (there null, now true)"),
        ("config.teachers.senior.sha256", ('"ab"', '"cd"'), "--senior (another file)"),
        ("teacher_weights.primary[0]", ('"ab"', '"cd"'), "--primary (another file)"),
        ("trainer.ema", ("null", "0.9"), "--ema (there null, now 0.9)"),
        ("config.performance", ("null", '"max"'), "--performance (there null, now max)"),
        ("config.data", ('"ab"', '"cd"'), "the training data"),
        ("config.pictures", ('"ab"', '"cd"'), "the training data"),
        ("config.validation", ('"ab"', '"cd"'), "the validation data"),
        ("config.val_pictures", ('"ab"', '"cd"'), "the validation data"),
    ],
)
def test_settings_are_told_as_options(tmp_path, key, values, words):
    # What follows from it is not told beside it.
    differences = {key: values, "trainer.batches": ("3", "6")}
    with pytest.raises(RunFolderError, match="another run") as caught, options_named(tmp_path, "--student"):
        raise RunFolderError("in other words", differences)
    assert f"differs in {words}: give another folder" in str(caught.value)


def test_what_is_given_by_one_option_is_told_once(tmp_path):
    twice = {
        "config.data": ("1", "2"),
        "config.ema": ("null", "0.9"),
        "config.pictures": ("1", "2"),
        "trainer.ema": ("null", "0.9"),
    }
    with pytest.raises(RunFolderError) as caught, options_named(tmp_path, "--student"):
        raise RunFolderError("in other words", twice)
    assert str(caught.value).count("--ema") == 1
    assert str(caught.value).count("the training data") == 1


@pytest.mark.parametrize("differences", [{}, {"trainer.batches": ("3", "6")}, {"config.clip_norm": ("1", "2")}])
def test_what_is_of_no_option_is_told_as_it_is(tmp_path, differences):
    with pytest.raises(RunFolderError, match=r"^as it is$"), options_named(tmp_path, "--student"):
        raise RunFolderError("as it is", differences)


@pytest.fixture
def odkd(chain):
    """The command of the run that is finished."""
    return [
        *(
            "distill",
            "--recipe",
            "odkd",
            "--student",
            "hrnet_w8_small",
            *chain.data,
            "--out",
            chain.folder / "odkd",
        ),
        *("--primary", chain.student("primary"), "--senior", chain.student("senior")),
        *("--val-annotations", chain.val, "--epochs", 2, "--evaluate-every", 1),
    ]


def forbidden(*arguments, **options):
    raise AssertionError("this takes long")


def test_a_finished_run_evaluates_no_teacher(chain, run, odkd, monkeypatch):
    monkeypatch.setattr(distill_command, "check_teachers", forbidden)
    before = (chain.folder / "odkd" / "metrics.jsonl").read_bytes()
    assert "best val/AP" in run(*odkd)
    assert (chain.folder / "odkd" / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--batch-size", 2], "--batch-size (there 4, now 2)"),
        (["--epochs", 3], "--epochs (there 2, now 3)"),
        (["--alpha", 0.7], "--alpha (there 0.5, now 0.7)"),
        (["--student", "hrnet_w16_small"], "--student (there hrnet_w8_small, now hrnet_w16_small)"),
        (["--no-augment"], "--augment (there true, now false)"),
    ],
)
def test_other_options_of_distill_are_noticed_before_data_and_teachers(fail, odkd, monkeypatch, change, words):
    monkeypatch.setattr(distill_command, "load_data", forbidden)
    assert f"differs in {words}" in fail(*odkd, *change)


def test_other_data_are_noticed_before_the_teachers(chain, fail, odkd, monkeypatch, tmp_path):
    monkeypatch.setattr(distill_command, "check_teachers", forbidden)
    content = chain.content()
    content["annotations"][0]["bbox"][2] += 1
    # The same file's name, and so the same options.
    before = chain.val.read_bytes()
    try:
        chain.val.write_text(json.dumps(content))
        assert "differs in the validation data: " in fail(*odkd)
    finally:
        chain.val.write_bytes(before)


@pytest.fixture
def moved(chain, odkd, tmp_path):
    """The folder that the data was moved to, and the command with it."""
    folder = shutil.copytree(chain.folder / "people", tmp_path / "elsewhere")
    named = str(chain.folder / "people")
    return folder, [str(part).replace(named, str(folder)) for part in odkd]


def test_a_run_goes_on_with_data_that_was_moved(run, moved):
    folder, command = moved
    assert sum(str(folder) in part for part in command) == 3
    assert "best val/AP" in run(*command)


def test_other_pictures_of_the_same_names_are_noticed(fail, moved):
    folder, command = moved
    for picture in (folder / "images").rglob("*.jpg"):
        picture.write_bytes(picture.read_bytes() + b"\0")
    assert "differs in the training data, the validation data: " in fail(*command)


def test_weights_are_known_by_their_content_wherever_they_lie(tmp_path):
    for name, content in (("here", b"1"), ("there", b"1"), ("others", b"2")):
        (tmp_path / name).write_bytes(content)
    here, there, others = (content_of_weights(str(tmp_path / name)) for name in ("here", "there", "others"))
    assert here == there != others
    assert [content_of_weights(name) for name in ("hub", None)] == ["hub", None]


def test_a_file_in_the_folders_place_is_noticed_before_the_data(chain, fail, monkeypatch, tmp_path):
    monkeypatch.setattr(train_command, "load_data", forbidden)
    (tmp_path / "file").touch()
    train = ["train", "--model", "hrnet_w8_small", *chain.data, "--input-size", "64x64"]
    assert "is a file" in fail(*train, "--out", tmp_path / "file")
    assert "is a file" in fail(*train, "--out", tmp_path / "file" / "run")
    assert "another run" in fail(*train, "--out", chain.folder / "primary")


def test_train_masks_looks_at_its_folder_before_the_data(chain, fail, monkeypatch, tmp_path):
    monkeypatch.setattr(masks_command, "CocoKeypoints", forbidden)
    (tmp_path / "file").touch()
    small = ["--input-size", "64x64", "--architecture", "pspnet", "--encoder", "mobilenetv3_small_050"]
    train = ["train-masks", *chain.data, "--val-annotations", chain.val, *small]
    assert "is a file" in fail(*train, "--out", tmp_path / "file")
    message = fail(*train, "--out", chain.folder / "primary")
    assert "--architecture (there null, now pspnet)" in message
    assert "--schedule (there step, now cosine)" in message
