"""cache build, cache verify, cache info."""

import json

import pytest
import torch

from kdkit import Binarize, TargetCache
from kdkit.cache import BitWindow, Dense, Window
from kdkit_pose import Augment, CocoKeypoints, MaskAwareTeacher, codecs, models
from kdkit_pose.cli.cache_contents import cache_verify
from kdkit_pose.codecs import DARK
from kdkit_pose.components import count_components
from kdkit_pose.data import loader
from kdkit_pose.skeleton import COCO, Skeleton


@pytest.fixture(scope="module")
def persons(chain):
    train = chain.val.with_name("person_keypoints_train.json")
    return ["--annotations", train, "--images", chain.images]


@pytest.fixture(scope="module")
def live(chain):
    """Ids, views and the senior's heatmaps, of two views of everyone."""
    train = chain.val.with_name("person_keypoints_train.json")
    data = CocoKeypoints(train, chain.images, codec=DARK(input_size=(64, 64)), augment=Augment(), masks=True)
    teacher, found = MaskAwareTeacher("senior", models.load(chain.student("senior"))), []
    batches = loader(data, 8)
    for view in range(2):
        batches.sampler.set_epoch(view)
        found += [(one["id"], one["view"], teacher.targets(one)["heatmap"]) for one in batches]
    return [torch.cat(part) for part in zip(*found, strict=True)]


@pytest.fixture(scope="module")
def threshold(live):
    """What two epochs teach is below 0.5; at this, some maps have several components."""
    return round(float(live[2].quantile(0.95)), 6)


@pytest.fixture(scope="module")
def command(chain, persons, threshold):
    """The senior teacher's heatmaps, binarized low."""
    teacher = ["--teacher", chain.student("senior"), *persons, "--views", 2]
    return ["cache", "build", *teacher, "--transform", "binarize", "--threshold", threshold]


@pytest.fixture(scope="module")
def built(command, run, tmp_path_factory):
    """A cache, what building it printed, and its figures."""
    folder = tmp_path_factory.mktemp("caches") / "senior"
    figures = folder.with_suffix(".json")
    printed = run(*command, "--out", folder, "--json", figures, "--workers", 2, "--batch-size", 5)
    return folder, printed, json.loads(figures.read_text())


def test_a_cache_holds_what_the_teacher_gives_and_says_where_it_is_not_all(built, live, threshold):
    folder, printed, figures = built
    cache = TargetCache.open(folder)
    assert cache.codecs == {"heatmap": BitWindow(11)}
    ids, views, heatmaps = live
    expected = Binarize(threshold)(heatmaps)
    found, counts = cache.read(ids, views)["heatmap"], count_components(expected)
    same = (found == expected).flatten(2).all(2)
    assert 0 < int((counts > 1).sum()) < counts.numel()
    assert int((~same).sum()) == cache.inexact["heatmap"][0] == figures["inexact"]["heatmap"]["inexact"]
    told = {"several": int((counts > 1).sum()), "maps": counts.numel()}
    assert figures["several_components"] == told
    assert f"maps of several components: {told['several']} of {told['maps']} (" in printed
    assert f"maps not stored exactly: {int((~same).sum())} of {told['maps']} (" in printed
    assert figures["records"] == figures["made"] == len(ids) == cache.header.records
    assert figures["record_bytes"] == 296
    assert "296 bytes a person's view" in printed
    assert f"written: {folder}" in printed


def test_it_says_what_is_needed_to_learn_without_the_teacher(built):
    header = TargetCache.open(built[0]).header
    codec = DARK(input_size=(64, 64), decoder="centroid")
    assert header.convention == codec.convention
    assert codecs.from_metadata(header.recorded) == codec
    assert Skeleton.from_metadata(header.recorded) == COCO
    assert header.recorded["teacher_file"] == "student.safetensors"


def test_building_again_makes_what_is_missing(command, run, built, tmp_path):
    folder, _, figures = built
    assert f"0 made, {figures['records']} there already" in run(*command, "--out", folder)
    text = run(*command, "--out", tmp_path, "--part", "1/2")
    assert "not finished: 1 of 1 shards are missing" in text
    run(*command, "--out", tmp_path, "--part", "0/2", "--fast-teachers")
    # One with and one without --fast-teachers, and yet one cache.
    assert TargetCache.open(tmp_path).fingerprint == TargetCache.open(folder).fingerprint


def test_another_one_in_the_folder_is_refused_and_left(command, fail, built, persons, chain):
    folder = built[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "it differs in transforms" in fail(*command, "--out", folder, "--threshold", 0.5)
    assert "it differs in data, seed" in fail(*command, "--out", folder, "--seed", 1)
    other = ["cache", "build", "--teacher", chain.student("primary"), *persons, "--views", 2, "--out", folder]
    assert "it differs in data, inputs, output 'heatmap', teacher, transforms" in fail(*other)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "codec"),
    [
        ([], Dense("float16")),
        (["--store-as", "uint8"], Dense("uint8")),
        (["--store-as", "window", "--window", 7], Window(7, "uint8")),
    ],
)
def test_every_codec(chain, run, persons, tmp_path, options, codec):
    teacher = ["--teacher", chain.student("primary"), *persons, "--views", 1, "--no-augment"]
    text = run("cache", "build", *teacher, *options, "--out", tmp_path / "cache")
    assert TargetCache.open(tmp_path / "cache").codecs == {"heatmap": codec}
    assert "components" not in text


def test_info_says_what_it_holds(run, built, threshold, tmp_path):
    folder, _, figures = built
    text = run("cache", "info", folder, "--json", tmp_path / "info.json")
    assert text.splitlines()[-1] == f"written: {tmp_path / 'info.json'}"
    assert f"= {figures['records']} records of 296 bytes in 1 shards" in text
    assert f"transforms: {{'heatmap': Binarize(threshold={threshold})}}" in text
    assert "inputs: image float32 [3, 64, 64], mask float32 [1, 64, 64]" in text
    found = json.loads((tmp_path / "info.json").read_text())
    assert found["outputs"]["heatmap"]["codec"] == {"name": "BitWindow", "size": 11}
    assert found["fingerprint"] == TargetCache.open(folder).fingerprint
    assert (found["views"], found["record_bytes"]) == (2, 296)


def test_verify_looks_at_every_record_and_names_the_shard(run, fail, built, tmp_path):
    folder, _, figures = built
    report = tmp_path / "report.json"
    assert f"all {figures['records']} records are whole" in run("cache", "verify", folder, "--json", report)
    assert json.loads(report.read_text()) == {"whole": True, "records": figures["records"], "error": None}
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in folder.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    shard = copied / "shard-00000.bin"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
    message = fail("cache", "verify", copied, "--json", report)
    assert f"'{shard}', record " in message
    assert "has not its checksum; 1 of" in message
    assert json.loads(report.read_text())["whole"] is False
    shard.write_bytes(whole[:-1])
    assert f"'{shard}' has {len(whole) - 1} bytes" in fail("cache", "verify", copied)
    shard.unlink()
    assert "is not finished: 1 of 1 shards are missing" in fail("cache", "verify", copied)
    printed = run("cache", "info", copied, "--json", tmp_path / "info.json")
    assert "not finished: 1 of 1 shards are missing; the same cache build goes on" in printed
    assert "transforms: " in printed
    assert json.loads((tmp_path / "info.json").read_text())["missing_shards"] == 1
    assert "there is no cache in" in fail("cache", "info", tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--threshold", 0.3], "--threshold would change nothing: nothing is binarized"),
        (["--store-as", "bit-window"], "--store-as bit-window holds zeros and ones"),
        (["--window", 9], "--window would change nothing: --store-as float16 keeps whole maps"),
        (["--predicted-masks", "masks.json"], "the teacher reads no masks"),
        (["--box-threshold", 0.5], "give --boxes too"),
        (["--part", "2/2"], "--part '2/2' must be i/n"),
        (["--part", "half"], "--part 'half' must be i/n"),
        (["--codec", "udp"], "trained for --codec dark, not udp"),
        (["--input-size", "128x128"], "trained for --input-size 64x64, not 128x128"),
        (["--threshold", 2, "--transform", "binarize"], "--threshold is 2.0, it must be above 0"),
        (["--views", 0], "--views"),
        (["--json", "."], "--json '.' is a folder"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_folder_is_made(chain, fail, persons, tmp_path, options, words):
    arguments = ["--teacher", chain.student("primary"), *persons, "--views", 1, "--out", tmp_path / "out"]
    assert words in fail("cache", "build", *arguments, *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give --views, the variants of each person that the teacher looks at, or --canonical"),
        (["--canonical", "--views", 2], "two kinds of cache: give one of them"),
        (["--canonical", "--transform", "binarize"], "--transform would change nothing: a canonical cache"),
        (["--canonical", "--seed", 3], "--seed would change nothing: a canonical cache"),
        (["--canonical", "--store-as", "bit-window"], "--store-as bit-window holds zeros and ones"),
    ],
)
def test_views_or_one_map_for_all(chain, fail, persons, tmp_path, options, words):
    arguments = ["--teacher", chain.student("primary"), *persons, "--out", tmp_path / "out"]
    assert words in fail("cache", "build", *arguments, *options)
    assert not (tmp_path / "out").exists()


def test_a_canonical_cache_is_told_from_others(chain, run, persons, tmp_path):
    arguments = ["--teacher", chain.student("primary"), *persons, "--canonical", "--store-as", "window"]
    run("cache", "build", *arguments, "--out", tmp_path / "whole")
    printed = run("cache", "info", tmp_path / "whole")
    assert "x 1 views" in printed
    assert "mode: canonical" in printed
    assert TargetCache.open(tmp_path / "whole").canonical


def test_an_interrupted_verification_says_nothing(built, tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(TargetCache, "verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache_verify(built[0], tmp_path / "figures.json")
    assert not (tmp_path / "figures.json").exists()
