"""distill from caches, and with fast teachers."""

import json
import re

import pytest

NET = "hrnet_w8_small"
VIEWS = 2


@pytest.fixture(scope="module")
def caches(chain, run, tmp_path_factory):
    """The folders of both teachers' caches, as ODKD reads them: the senior's are binarized."""
    folder = tmp_path_factory.mktemp("caches")
    train = ["--annotations", chain.val.with_name("person_keypoints_train.json"), "--images", chain.images]
    for role, how in (("primary", []), ("senior", ["--transform", "binarize"])):
        made = [*train, *how, "--views", VIEWS, "--out", folder / role]
        run("cache", "build", "--teacher", chain.student(role), *made)
    return folder


@pytest.fixture(scope="module")
def distill(chain):
    """The command, at a rate at which steps make no more of rounding; its first stage does not binarize."""
    return ["distill", "--student", NET, *chain.data, "--epochs", 2, "--learning-rate", 1e-5, "--loss", "mse"]


def teachers(chain):
    return ["--primary", chain.student("primary"), "--senior", chain.student("senior")]


def from_caches(caches):
    return ["--primary-cache", caches / "primary", "--senior-cache", caches / "senior"]


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "stage")} for line in found]


@pytest.fixture(scope="module")
def cached(caches, distill, run, tmp_path_factory):
    """The folder of a run without the teachers' files, and what it printed."""
    out = tmp_path_factory.mktemp("runs") / "cached"
    return out, run(*distill, *from_caches(caches), "--out", out, "--workers", 2)


def test_a_run_is_the_live_one(chain, distill, run, cached, tmp_path):
    out, printed = cached
    run(*distill, *teachers(chain), "--out", tmp_path)
    found, live = lines(out), lines(tmp_path)
    assert len(found) == len(live) == 2
    for one, other in zip(live, found, strict=True):
        assert other == pytest.approx(one, rel=2e-3)
    assert found[0] != live[0]
    assert "heatmaps: DARK(64x64, sigma 2, decoder peak)" in printed
    assert "teacher senior: not checked, for there is only its cache" in printed
    assert "views of each person: 2, repeated" in printed
    assert "masks: seen when the cache was made" in printed


def test_by_cross_entropy_all_is_binarized_and_a_run_is_the_live_one_to_the_bit(
    chain, caches, run, distill, tmp_path
):
    discs = [*distill[:-1], "bce"]
    run(*discs, *from_caches(caches), "--out", tmp_path / "cached")
    run(*discs, *teachers(chain), "--out", tmp_path / "live")
    assert lines(tmp_path / "cached") == lines(tmp_path / "live")


def test_its_config_names_the_caches_and_it_is_not_gone_on_with_under_others(
    caches, distill, run, fail, cached, tmp_path, chain
):
    out, _ = cached
    config = json.loads((out / "config.json").read_text())["config"]
    assert config["teachers"] == {}
    senior = config["caches"]["senior"]
    assert senior["transforms"] == "{'heatmap': Binarize(threshold=0.5)}"
    assert len(senior["teacher"]) == len(senior["data"]) == 64
    before = (out / "metrics.jsonl").read_bytes()
    run(*distill, *from_caches(caches), "--out", out)
    train = ["--annotations", chain.val.with_name("person_keypoints_train.json"), "--images", chain.images]
    fewer = [*train, "--transform", "binarize", "--views", 1, "--out", tmp_path / "senior"]
    run("cache", "build", "--teacher", chain.student("senior"), *fewer)
    other = ["--primary-cache", caches / "primary", "--senior-cache", tmp_path / "senior"]
    assert "differs in --senior-cache (another cache, or none)" in fail(*distill, *other, "--out", out)
    assert (out / "metrics.jsonl").read_bytes() == before
    printed = run(*distill, *other, "--out", tmp_path / "run")
    assert "views of each person: 1, the fewest of the caches' (primary 2, senior 1)" in printed


def test_a_teachers_file_beside_its_cache_is_evaluated_and_one_teacher_can_be_live(
    chain, caches, distill, run, tmp_path
):
    senior = ["--senior", chain.student("senior"), "--senior-cache", caches / "senior"]
    val = ["--val-annotations", chain.val, "--evaluate-every", 2]
    printed = run(
        *(*distill, *senior, *val, "--primary", chain.student("primary"), "--fast-teachers", "--out", tmp_path),
    )
    assert "teacher primary: AP " in printed
    assert "teacher senior: AP " in printed
    assert "not checked" not in printed
    first, second = lines(tmp_path)
    # Of the one that is run.
    assert 0 <= first["agreement/primary/heatmap"] < 1e-4
    assert not any(name.startswith("agreement/senior") for name in first)
    assert "agreement/primary/heatmap" not in second
    assert json.loads((tmp_path / "config.json").read_text())["config"]["fast_teachers"] is True


@pytest.mark.parametrize(
    ("options", "item"),
    [
        (["--primary", "odkd"], "--primary-cache: .*differs in teacher "),
        (["--primary", "senior"], "--primary-cache: .*differs in data, inputs, teacher "),
        (["--seed", 1], "--primary-cache: .*differs in data, seed .*seed: there '0', now '1'"),
        (["--no-augment"], "--primary-cache: .*differs in data .*augmentation and seed"),
        (
            ["--threshold", 0.3],
            r"--senior-cache .* differs in transforms: it holds .*\(threshold=0.5\).*stage 'senior'",
        ),
        (["--binarize", "none"], "--senior-cache .* differs in transforms: .*stage 'senior' .*Identity"),
        (["--recipe", "reversed_order"], "--senior-cache .* differs in transforms: .*stage 'senior' .*Identity"),
        (["--input-size", "128x128"], "the teachers were trained for DARK"),
        (["--train-annotations", "val"], "--primary-cache: .*differs in data "),
        (["--fast-teachers"], "--fast-teachers would change nothing: every teacher is read from its cache"),
        (["--val-predicted-masks", "m.json"], "--val-predicted-masks would change nothing: .* --val-annotations"),
        (["--recipe", "fpd"], "--senior-cache would change nothing: recipe 'fpd' learns from primary"),
    ],
)
def test_a_cache_of_something_else_is_refused_by_name(chain, caches, distill, fail, tmp_path, options, item):
    files = {"odkd": chain.student("odkd"), "senior": chain.student("senior"), "val": chain.val}
    options = [files.get(option, option) for option in options]
    message = fail(*distill, *from_caches(caches), "--out", tmp_path / "out", *options)
    assert re.search(item, message), message
    assert not (tmp_path / "out").exists()


def test_a_recipe_without_teachers_has_no_fast_ones(chain, distill, fail, tmp_path):
    message = fail(*distill, "--recipe", "supervised", "--fast-teachers", "--out", tmp_path / "out")
    assert "--fast-teachers would change nothing: recipe 'supervised' has no teacher" in message


def test_without_file_and_cache_both_options_are_named(chain, caches, distill, fail, tmp_path):
    message = fail(*distill, "--primary-cache", caches / "primary", "--out", tmp_path / "out")
    assert "learns from a senior teacher: give --senior, or --senior-cache" in message
    floor = ["--teacher-floor", 0.1, "--val-annotations", chain.val]
    message = fail(*distill, *from_caches(caches), *floor, "--out", tmp_path / "out")
    assert "give --primary beside --primary-cache and --senior beside --senior-cache" in message
    assert "there is no cache in" in fail(*distill, "--primary-cache", tmp_path, "--out", tmp_path / "out")


@pytest.fixture(scope="module")
def canonical(chain, run, tmp_path_factory):
    """The folders of both teachers' caches of one map a person, for every view."""
    folder = tmp_path_factory.mktemp("canonical")
    train = ["--annotations", chain.val.with_name("person_keypoints_train.json"), "--images", chain.images]
    for role in ("primary", "senior"):
        run("cache", "build", "--teacher", chain.student(role), *train, "--canonical", "--out", folder / role)
    return folder


def test_canonical_without_augmentation_a_run_is_the_live_one(chain, canonical, distill, run, tmp_path):
    run(*distill, *from_caches(canonical), "--no-augment", "--out", tmp_path / "warped")
    run(*distill, *teachers(chain), "--no-augment", "--out", tmp_path / "live")
    for live, found in zip(lines(tmp_path / "live"), lines(tmp_path / "warped"), strict=True):
        assert found == pytest.approx(live, rel=2e-3)


def test_a_canonical_cache_serves_any_seed_and_the_files_beside_it_are_evaluated(
    chain, canonical, distill, run, tmp_path
):
    val = ["--val-annotations", chain.val, "--evaluate-every", 2]
    out = ["--out", tmp_path / "run"]
    printed = run(*distill, *from_caches(canonical), *teachers(chain), *val, "--seed", 7, *out)
    assert "views of each person: one an epoch" in printed
    assert "teacher senior: AP " in printed
    assert len(lines(tmp_path / "run")) == 2
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert config["caches"]["senior"]["mode"] == "canonical"


def test_beside_a_canonical_cache_the_others_views_count(caches, canonical, distill, run, tmp_path):
    both = ["--primary-cache", caches / "primary", "--senior-cache", canonical / "senior"]
    assert "views of each person: 2, repeated" in run(*distill, *both, "--out", tmp_path / "run")


def test_a_canonical_cache_of_another_teacher_is_refused(chain, canonical, distill, fail, tmp_path):
    other = ["--primary", chain.student("odkd"), "--out", tmp_path / "out"]
    message = fail(*distill, *from_caches(canonical), *other)
    assert re.search("--primary-cache: .*differs in teacher ", message), message
