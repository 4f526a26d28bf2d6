"""Options that would change nothing are refused, in a line that names them and what they lack."""

import pytest


@pytest.fixture
def files(chain, tmp_path):
    return [*chain.data, "--out", tmp_path / "out", "--epochs", 2]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--val-images", ".", "--val-annotations"),
        ("--val-predicted-masks", "masks.json", "--val-annotations"),
        ("--evaluate-every", "10", "--val-annotations"),  # the default, but said
        ("--predicted-masks", "masks.json", "no network here reads masks"),
    ],
)
def test_of_train(fail, files, option, value, words):
    message = fail("train", "--model", "hrnet_w8_small", *files, option, value)
    assert f"{option} would change nothing" in message
    assert words in message


TAUGHT = ("fpd", ["primary"])


@pytest.mark.parametrize(
    ("recipe", "teachers", "option", "value", "words"),
    [
        (*TAUGHT, "--box-threshold", "0.5", "--boxes"),
        (*TAUGHT, "--val-images", ".", "--val-annotations"),
        (*TAUGHT, "--val-predicted-masks", "masks.json", "--val-annotations"),
        (*TAUGHT, "--evaluate-every", "1", "--val-annotations"),
        (*TAUGHT, "--allow-weak-teachers", None, "--teacher-floor"),
        (*TAUGHT, "--threshold", "0.5", "no target is binarized"),
        (*TAUGHT, "--predicted-masks", "masks.json", "no network here reads masks"),
        (*TAUGHT, "--senior", "senior.safetensors", "learns from primary"),
        (*TAUGHT, "--senior-model", "hrnet_w48", "--senior too"),
        (*TAUGHT, "--senior-mask-fusion", "concat", "--senior too"),
        ("senior_only", ["senior"], "--primary", "primary.safetensors", "learns from senior"),
        ("senior_only", ["senior"], "--primary-model", "hrnet_w32", "--primary too"),
        ("supervised", [], "--alpha", "0.5", "has no teacher"),
        ("supervised", [], "--primary", "primary.safetensors", "learns from no teacher"),
    ],
)
def test_of_distill(fail, chain, files, recipe, teachers, option, value, words):
    given = [part for role in teachers for part in (f"--{role}", chain.student(role))]
    named = [option] if value is None else [option, value]
    message = fail("distill", "--recipe", recipe, "--student", "hrnet_w8_small", *files, *given, *named)
    assert f"{option} would change nothing" in message
    assert words in message


def test_a_floor_of_no_teacher(fail, chain, files):
    floor = ["--teacher-floor", 0.1, "--val-annotations", chain.val]
    message = fail("distill", "--recipe", "supervised", "--student", "hrnet_w8_small", *files, *floor)
    assert "--teacher-floor would change nothing" in message


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["--box-threshold", "0.5"], "--box-threshold"), (["--all", "--boxes", "boxes.json"], "--all")],
)
def test_of_predict_masks(fail, chain, tmp_path, arguments, option):
    files = ["--checkpoint", "p.safetensors", "--annotations", chain.val, "--images", chain.images]
    message = fail("predict-masks", *files, "--out", tmp_path / "masks.json", *arguments)
    assert f"{option} would change nothing" in message
    assert "--boxes" in message
