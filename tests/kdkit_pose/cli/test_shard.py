"""shard, and what train, distill and cache build make of persons in shards."""

import json

import pytest

from kdkit.streaming import ShardIndex
from kdkit.streaming import extra as extra_module

pytest.importorskip("webdataset", reason="the extra 'streaming' is not installed")

NET = "hrnet_w8_small"


@pytest.fixture(scope="session")
def files(chain):
    train = chain.val.with_name("person_keypoints_train.json")
    return ["--annotations", train, "--images", chain.images, "--input-size", "64x64"]


@pytest.fixture(scope="session")
def sharded(files, run, tmp_path_factory):
    """The folder of the chain's training persons in shards, and what making it printed."""
    out = tmp_path_factory.mktemp("shards") / "train"
    return out, run("shard", *files, "--out", out, "--shard-size", 1)


def lines(run_folder):
    return [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]


def test_shard_says_what_it_made(sharded):
    out, printed = sharded
    index = ShardIndex.read(out)
    assert len(index.shards) > 1
    assert f"{index.samples} persons in" in printed
    assert f"written: {out} (" in printed
    assert f"MB in {len(index.shards)} shards" in printed


def test_a_student_is_trained_on_shards_and_goes_on(chain, run, fail, sharded, tmp_path):
    same = ["train", "--model", NET, *chain.data, "--input-size", "64x64", "--shards", sharded[0]]
    printed = run(*same, "--epochs", 2, "--out", tmp_path / "straight")
    assert f"training persons, in shards in '{sharded[0]}'" in printed
    run(*same, "--epochs", 2, "--workers", 2, "--out", tmp_path / "workers")
    straight, workers = (lines(tmp_path / name) for name in ("straight", "workers"))
    assert len(straight) == 2
    assert [line["loss/total"] for line in straight] == [line["loss/total"] for line in workers]
    message = fail(*same, "--epochs", 2, "--lanes", 2, "--out", tmp_path / "straight")
    assert "differs in --lanes (there 4, now 2)" in message
    assert "differs in" in fail(*same[:-2], "--epochs", 2, "--out", tmp_path / "straight")
    assert "batch_size must be a multiple of lanes" in fail(*same, "--lanes", 3, "--out", tmp_path / "lanes")


def test_a_student_is_distilled_on_shards_and_cached_targets(chain, run, files, sharded, tmp_path):
    teacher, given = chain.student("primary"), ["--primary-cache", tmp_path / "cache"]
    cached = ["cache", "build", "--teacher", teacher, *files[:4], "--views", 2, "--out", tmp_path / "cache"]
    run(*cached, "--shards", sharded[0])
    distill = ["distill", "--student", NET, *chain.data, "--epochs", 2, "--shards", sharded[0]]
    run(*distill, "--recipe", "fpd", *given, "--out", tmp_path / "cached")
    run(*distill, "--recipe", "fpd", "--primary", teacher, "--out", tmp_path / "live")
    losses = [[line["loss/total"] for line in lines(tmp_path / name)] for name in ("cached", "live")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    senior = ["--primary", teacher, "--senior", chain.student("senior"), "--fast-teachers"]
    run(*distill, "--recipe", "odkd", *senior, "--out", tmp_path / "odkd")
    assert (tmp_path / "odkd" / "student.safetensors").exists()


def test_what_does_not_fit_is_refused(chain, fail, sharded, tmp_path):
    same = ["train", "--model", NET, *chain.data, "--out", tmp_path / "run"]
    assert "packed for inputs of 64x64" in fail(*same, "--input-size", "128x128", "--shards", sharded[0])
    assert "--packed and --shards are two ways" in fail(*same, "--packed", "there", "--shards", sharded[0])
    assert "--lanes would change nothing: give --shards too" in fail(*same, "--lanes", 2)
    assert "holds no shards of persons" in fail(*same, "--shards", chain.images)
    masks = ["--predicted-masks", "masks.json", "--mask-fusion", "concat"]
    assert "settled by kdkit-pose shard" in fail(*same, *masks, "--shards", sharded[0])
    other = ["--train-annotations", chain.val, "--images", chain.images, "--batch-size", 2]
    other += ["--input-size", "64x64", "--shards", sharded[0]]
    assert "other --train-annotations" in fail("train", "--model", NET, *other, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_the_package_the_extra_is_named(fail, files, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extra_module, "import_module", missing)
    assert "pip install 'kdkit[streaming]'" in fail("shard", *files, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
