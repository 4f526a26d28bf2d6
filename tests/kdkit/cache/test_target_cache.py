import copy
import functools
import json
import multiprocessing
import pickle
import shutil
import tempfile
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, default_collate

from kdkit import CacheError, ConfigurationError, TargetCache
from kdkit.cache import BitWindow, CachedDataset, Dense, cache_fingerprint
from kdkit.cache.codec import codec_from
from kdkit.cache.header import read_header, shard_path
from kdkit.sample_batch import SampleBatch, collate

from .builds import SAMPLES, SHAPE, SHARD, VIEWS, Views, bits, build, contents, teacher

IDS = Views().annotation_ids


def live(index: int, view: int) -> torch.Tensor:
    return teacher().targets({"image": Views()[index, view]["image"][None]})["heatmap"][0]


def all_keys() -> tuple[torch.Tensor, torch.Tensor]:
    """Every id and view, in the data set's order."""
    return torch.tensor(IDS).repeat_interleave(VIEWS), torch.arange(VIEWS).repeat(SAMPLES)


def test_says_what_it_holds(cache):
    assert cache.outputs == ("heatmap",)
    assert cache.shapes == {"heatmap": SHAPE}
    assert cache.codecs == {"heatmap": Dense("float16")}
    assert cache.ids.tolist() == sorted(IDS)
    assert cache.views == VIEWS
    assert cache.inexact == {"heatmap": (0, SAMPLES * VIEWS * SHAPE[0])}
    assert cache.fingerprint == cache_fingerprint(teacher(), Views())
    assert repr(cache) == (
        "TargetCache(12 samples x 3 views, heatmap [5, 8, 6] as Dense(dtype='float16') "
        "(maps not stored exactly: 0 of 180))"
    )
    assert "12 samples x 3 views = 36 records of 484 bytes in 6 shards" in cache.info()
    assert "data: 12 pictures of noise" in cache.info()


def test_reads_what_the_teacher_gave_in_any_order(cache):
    ids, views = all_keys()
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
    order = torch.cat([order, order[:5]])  # some twice
    targets = cache.read(ids[order], views[order])["heatmap"]
    assert targets.dtype == torch.float32
    for target, number in zip(targets, order.tolist(), strict=True):
        expected = live(*divmod(number, VIEWS))
        torch.testing.assert_close(target, expected, rtol=2**-11, atol=1e-7)
    assert torch.equal(cache.read(ids[:1], views[:1])["heatmap"], cache.read(ids[:4], views[:4])["heatmap"][:1])
    assert cache.read(ids[:0], views[:0])["heatmap"].shape == (0, *SHAPE)
    assert torch.equal(
        cache.read(ids.int() * 0 + ids, views.short())["heatmap"], cache.read(ids, views)["heatmap"]
    )


def test_reading_does_not_open_what_is_not_read_and_leaves_the_files(folder, cache):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fresh = TargetCache.open(folder, verify="none")
    first = cache.ids[:1]
    assert not fresh._shards
    fresh.read(first, torch.zeros(1, dtype=torch.int64))["heatmap"].fill_(7)
    assert list(fresh._shards) == [0]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_missing_ids_and_views_are_named(cache):
    ids = cache.ids[:3].clone()
    views = torch.tensor([0, VIEWS, 1])
    with pytest.raises(CacheError, match=rf"id {ids[1]}, view 3: it has the views 0 to 2.*views=3"):
        cache.read(ids, views)
    with pytest.raises(CacheError, match="view -1"):
        cache.read(ids, torch.tensor([0, 0, -1]))
    for wrong in (5, int(ids[0]) + 1, 2**62):
        ids[2] = wrong
        with pytest.raises(
            CacheError, match=rf"no target for the id {wrong}, view 1 \(1 of 3 ids are not in it\)"
        ):
            cache.read(ids, torch.tensor([0, 0, 1]))
    for bad in (ids.float(), ids[None], ids > 0):
        with pytest.raises(CacheError, match="ids are integers"):
            cache.read(bad, views)
    with pytest.raises(CacheError, match="as many ids as views, found 3 and 2"):
        cache.read(ids, views[:2])


def test_it_is_small_to_pickle_and_reads_afterwards(cache):
    ids, views = all_keys()
    expected = cache.read(ids, views)["heatmap"]
    assert len(pickle.dumps(cache)) < 5000
    assert cache._shards
    assert torch.equal(pickle.loads(pickle.dumps(cache)).read(ids, views)["heatmap"], expected)
    assert torch.equal(copy.deepcopy(cache).read(ids, views)["heatmap"], expected)


# Forking is what torch does by default on Linux; spawned workers get the cache pickled.
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_loaders_workers_read_it(cache, start, workers):
    ids, views = all_keys()
    samples = [{"id": one, "view": view} for one, view in zip(ids, views, strict=True)]
    loader = DataLoader(
        CachedDataset(samples, cache),
        batch_size=5,
        num_workers=workers,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    records = torch.cat([batch["records"] for batch in loader])
    assert torch.equal(records, cache.read_records(ids, views))
    assert torch.equal(cache.decode(records)["heatmap"], cache.read(ids, views)["heatmap"])


def test_threads_read_it(cache):
    ids, views = all_keys()
    expected, found = cache.read_records(ids, views), []
    fresh = pickle.loads(pickle.dumps(cache))
    threads = [threading.Thread(target=lambda: found.append(fresh.read_records(ids, views))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(records, expected) for records in found)


class Whole(Views):
    """Reads a batch at once."""

    def __init__(self, as_one: bool) -> None:
        super().__init__()
        self.as_one = as_one

    def __getitems__(self, keys):
        samples = [super(Whole, self).__getitem__(key) for key in keys]
        return SampleBatch(default_collate(samples)) if self.as_one else samples


@pytest.mark.parametrize("data", [Views(), Whole(as_one=False), Whole(as_one=True)], ids=["one", "list", "batch"])
def test_records_come_batch_by_batch_as_sample_by_sample(cache, data, monkeypatch):
    keys, both = [(3, 1), (0, 2), (3, 0)], CachedDataset(CachedDataset(data, cache, "a"), cache, "b")
    expected = default_collate([both[key] for key in keys])
    reads, read_records = [], TargetCache.read_records
    monkeypatch.setattr(
        TargetCache, "read_records", lambda *given: reads.append(len(given[1])) or read_records(*given)
    )
    samples = both.__getitems__(keys)
    assert reads == [3, 3]
    assert isinstance(samples, SampleBatch) == getattr(data, "as_one", False)
    found = collate(samples)
    assert found.keys() == expected.keys() == {"image", "heatmap", "id", "view", "a", "b"}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(ConfigurationError, match="without 'a'"):
        CachedDataset(both, cache, "a").__getitems__(keys)


def test_samples_without_keys_or_with_the_field_are_refused(cache):
    for sample in ({"id": torch.tensor(1)}, {"id": 1, "view": 0, "records": 2}):
        with pytest.raises(ConfigurationError, match="needs samples with 'id' and 'view' and without 'records'"):
            CachedDataset([sample], cache)[0]


OTHERS = {
    "teacher": {"teacher": teacher(2)},
    "transforms": bits(0.25),
    "inputs": {"dataset": Views(size=(4, 6))},
    "seed": {"dataset": Views(seed=1)},
    "data": {"dataset": Views(samples=11)},
    "versions": {"fingerprint": {"versions": "format 1, kdkit 0.0.1"}},
}


@pytest.mark.parametrize("item", OTHERS)
def test_another_teacher_transform_size_seed_or_data_set_is_refused_by_name(tmp_path, item):
    build(tmp_path, **bits())
    other = {"teacher": teacher(), "dataset": Views(), **bits(), "fingerprint": None, **OTHERS[item]}
    keys = ("transforms", "fingerprint")
    items = cache_fingerprint(other["teacher"], other["dataset"], **{key: other[key] for key in keys})
    same = cache_fingerprint(teacher(), Views(), transforms=bits()["transforms"])
    TargetCache.open(tmp_path, expect=same)
    TargetCache.open(tmp_path, expect={"data": same["data"], "views": "3"})
    with pytest.raises(
        CacheError, match=rf"made of something else, it differs in {item} \({item}: there .*, now "
    ):
        TargetCache.open(tmp_path, expect=items)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CacheError, match=rf"it differs in .*{item}.*there .*, now "):
        build(tmp_path, **{**bits(), **OTHERS[item]})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_item_that_only_one_side_has_is_named(folder):
    with pytest.raises(CacheError, match=r"it differs in machine \(machine: there none, now 'mine'"):
        TargetCache.open(folder, expect={"machine": "mine"})


def doubled(batch):
    return {**batch, "image": batch["image"] * 2}


@pytest.mark.parametrize(("built", "opened"), [(doubled, None), (None, doubled)])
def test_batches_made_ready_otherwise_are_another_thing_in_both_directions(tmp_path, built, opened):
    build(tmp_path, prepare=built)
    TargetCache.open(tmp_path, expect=cache_fingerprint(teacher(), Views(), prepare=built))
    with pytest.raises(CacheError, match=r"it differs in prepare \(prepare: there '.*', now '"):
        TargetCache.open(tmp_path, expect=cache_fingerprint(teacher(), Views(), prepare=opened))


def flip(path, byte: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def test_verifying_says_how_far_it_is(cache, monkeypatch):
    monkeypatch.setattr("kdkit.cache.target_cache._CHUNK", 10)
    seen = []
    cache.verify("all", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 36), (20, 36), (30, 36), (36, 36)]


def test_every_flipped_bit_of_a_shard_is_found_and_named(folder):
    header, path = read_header(folder), shard_path(folder, 1)
    whole = path.read_bytes()
    size = header.record_bytes
    for byte in (0, size - 1, 3 * size, 3 * size + 200, SHARD * size - 1):
        flip(path, byte, byte % 8)
        place, view = divmod(SHARD + byte // size, VIEWS)
        named = rf"{path.name}', record {byte // size} \(id {sorted(IDS)[place]}, view {view}\)"
        for verify in ("sample", "all"):
            with pytest.raises(CacheError, match=named + r".*; 1 of 36 records.*run the build again"):
                TargetCache.open(folder, verify=verify)
        cache = TargetCache.open(folder, verify="none")
        with pytest.raises(CacheError, match=named):
            cache.verify("all")
        ids, views = torch.tensor(sorted(IDS))[[0, place]], torch.tensor([0, view])
        cache.read(ids, views)
        cache.read(ids[:1], views[:1], check=True)
        with pytest.raises(CacheError, match=named + ".*1 of 2 records"):
            cache.read(ids, views, check=True)
        with pytest.raises(CacheError, match=named):
            TargetCache.open(folder, verify="none", check=True).read(ids, views)
        path.write_bytes(whole)
    flip(path, len(whole) - 3)
    with pytest.raises(CacheError, match=f"counts at the end of '{path}'"):
        TargetCache.open(folder, verify="none")


def test_records_in_each_others_place_are_found(folder):
    path, size = shard_path(folder, 1), read_header(folder).record_bytes
    content = path.read_bytes()
    path.write_bytes(content[size : 2 * size] + content[:size] + content[2 * size :])
    with pytest.raises(CacheError, match=f"{path.name}', record 0 .*; 2 of 36"):
        TargetCache.open(folder, verify="all")


def test_a_shard_of_another_cache_is_found(folder, tmp_path):
    build(tmp_path / "other", teacher=teacher(2))
    shutil.copy(shard_path(tmp_path / "other", 2), shard_path(folder, 2))
    with pytest.raises(CacheError, match="damaged"):
        TargetCache.open(folder)


@pytest.mark.parametrize("change", [-1, 1, -200, None])
def test_shards_of_another_size_are_found(folder, change):
    path, opened = shard_path(folder, 3), TargetCache.open(folder)
    content = path.read_bytes()
    path.write_bytes(b"" if change is None else content[:change] if change < 0 else content + b"0")
    with pytest.raises(CacheError, match=rf"'{path}' has \d+ bytes and not {len(content)}; delete the file"):
        TargetCache.open(folder, verify="none")
    # One opened before it was damaged notices it when it maps the file.
    with pytest.raises(CacheError, match=r"has \d+ bytes and not"):
        pickle.loads(pickle.dumps(opened)).verify("all")
    build(folder)
    assert path.read_bytes() == content
    path.unlink()
    with pytest.raises(CacheError, match=r"not finished: 1 of 6 shards are missing, the first is shard-00003.bin"):
        TargetCache.open(folder)
    build(folder)
    assert path.read_bytes() == content


def test_a_sample_of_many_records_is_looked_at(tmp_path):
    build(tmp_path, Views(samples=64), views=2, shard_records=40)
    path = shard_path(tmp_path, 2)
    size = read_header(tmp_path).record_bytes
    for record in range(40):
        flip(path, record * size)
    with pytest.raises(CacheError, match=rf"{path.name}.* of 64 records looked at"):
        TargetCache.open(tmp_path)
    with pytest.raises(CacheError, match="40 of 128 records looked at"):
        TargetCache.open(tmp_path, verify="all")


def test_another_sample_is_looked_at_each_time(tmp_path):
    """So that a single damaged record is found some day."""
    build(tmp_path, Views(samples=64), views=2, shard_records=40)
    flip(shard_path(tmp_path, 1), 3 * read_header(tmp_path).record_bytes)
    found = 0
    for _ in range(24):  # 64 of 128 records each time: 2 ** -24 that none or all have it
        try:
            TargetCache.open(tmp_path)
        except CacheError:
            found += 1
    assert 0 < found < 24


def test_damaged_ids_are_refused(folder):
    path = folder / "ids.npy"
    whole = path.read_bytes()
    flip(path, len(whole) - 2)
    with pytest.raises(CacheError, match=r"ids '.*ids.npy' cannot be used: it is not the one"):
        TargetCache.open(folder)
    for content in (b"", whole[:-8], whole[:20], b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(CacheError, match=r"ids\.npy' cannot be used"):
            TargetCache.open(folder)
    np.save(path, np.arange(SAMPLES, dtype=np.int32))
    with pytest.raises(CacheError, match="it holds int32"):
        TargetCache.open(folder)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CacheError, match=r"ids\.npy' cannot be used"):
        TargetCache.open(folder)
    path.unlink()
    with pytest.raises(CacheError, match=r"ids\.npy' cannot be used"):
        TargetCache.open(folder)


def damage(**changes):
    return lambda found: {**found, **changes}


HEADERS = {
    "a list": lambda found: [found],
    "format": damage(format=99),
    "no outputs": damage(outputs=[]),
    "outputs": damage(outputs={"heatmap": 1}),
    "twice": lambda found: {**found, "outputs": found["outputs"] * 2},
    "codec": lambda found: {**found, "outputs": [{**found["outputs"][0], "codec": {"name": "Zip"}}]},
    "shape": lambda found: {**found, "outputs": [{**found["outputs"][0], "shape": [5, -8, 6]}]},
    "large shape": lambda found: {**found, "outputs": [{**found["outputs"][0], "shape": [2**60, 2**60, 2**60]}]},
    "other shape": lambda found: {**found, "outputs": [{**found["outputs"][0], "shape": [5, 6, 8]}]},
    "name": lambda found: {**found, "outputs": [{**found["outputs"][0], "name": ["a"]}]},
    "samples": damage(samples="12"),
    "more samples": damage(samples=2**61),
    "a float": damage(samples=12.0),
    "a truth": damage(views=True),
    "no shard": damage(shard_records=0),
    "views": damage(views=4),
    "fingerprint": damage(fingerprint={"seed": "1"}),
    "fingerprint of numbers": damage(fingerprint={"seed": 1}),
    "recorded": damage(recorded={"torch": "9"}),
    "checksum": damage(checksum=1),
    "no checksum": lambda found: {key: value for key, value in found.items() if key != "checksum"},
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_a_header_that_was_changed_is_refused(folder, change):
    path = folder / "header.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(CacheError, match=r"header '.*header.json' cannot be used: .*; restore the file"):
        TargetCache.open(folder)
    with pytest.raises(CacheError, match=r"header.json' cannot be used"):
        build(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1e999"])
def test_a_header_that_is_no_json_is_refused(folder, content):
    (folder / "header.json").write_bytes(content)
    with pytest.raises(CacheError, match=r"header.json' cannot be used"):
        TargetCache.open(folder)


def test_a_header_that_is_too_large_is_not_read(folder):
    with (folder / "header.json").open("a") as file:
        file.write(" " * 2**24)
    with pytest.raises(CacheError, match=r"header.json' cannot be used: it has more than 16777216 bytes"):
        TargetCache.open(folder)


def test_where_there_is_no_cache_is_said(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CacheError, match="there is no cache in"):
            TargetCache.open(path)
    with pytest.raises(ConfigurationError, match="verify is 'some'"):
        TargetCache.open(tmp_path, verify="some")


def test_binary_maps_are_told_where_they_are_not_exact(tmp_path):
    report = build(tmp_path, **bits())
    cache = TargetCache.open(tmp_path)
    ids, views = all_keys()
    true = torch.stack([(live(*divmod(row, VIEWS)) >= 0.5).float() for row in range(len(ids))])
    inexact = (cache.read(ids, views)["heatmap"] != true).flatten(2).any(2)
    assert 0 < inexact.sum() < inexact.numel()
    assert cache.inexact == report.inexact == {"heatmap": (int(inexact.sum()), inexact.numel())}
    assert f"maps not stored exactly: {inexact.sum()} of 180" in repr(cache)
    assert f"maps not stored exactly: {inexact.sum()} of 180" in str(report)
    assert torch.equal(inexact, BitWindow(4).inexact(true))


@settings(derandomize=True, max_examples=80)
@given(st.randoms(use_true_random=False))
def test_of_a_damaged_file_nothing_is_read_as_whole(random):
    """Any change of any file is noticed, or changes nothing that is read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in _built().items():
            (folder / path).write_bytes(content)
        path = folder / random.choice(sorted(_built()))
        content = bytearray(path.read_bytes())
        start = random.randrange(len(content))
        change = random.choice(["bit", "cut", "add", "zero"])
        if change == "bit":
            content[start] ^= 1 << random.randrange(8)
        elif change == "cut":
            del content[start : start + random.choice([1, 9, len(content)])]
        elif change == "add":
            content[start:start] = random.randbytes(random.choice([1, 9]))
        else:
            content[start : start + 5] = bytes(len(content[start : start + 5]))
        path.write_bytes(content)
        try:
            opened = TargetCache.open(folder, verify="all")
        except CacheError as error:
            told = str(error)
        else:
            told = ""
        if told:
            assert str(folder) in told
            return
        ids = torch.tensor(sorted(Views().annotation_ids))
        found = opened.read(ids, torch.zeros_like(ids))["heatmap"]
        assert torch.equal(found, _whole_targets())


@functools.cache
def _built():
    with tempfile.TemporaryDirectory() as name:
        build(Path(name) / "cache")
        return contents(Path(name) / "cache")


@functools.cache
def _whole_targets():
    with tempfile.TemporaryDirectory() as name:
        build(Path(name) / "cache")
        ids = torch.tensor(sorted(Views().annotation_ids))
        return TargetCache.open(Path(name) / "cache").read(ids, torch.zeros_like(ids))["heatmap"]


def _sign(header):
    """A header whose checksum and record size are right, whatever else it says."""
    codec = codec_from(header["outputs"][0]["codec"])
    header["record_bytes"] = codec.record_bytes(tuple(header["outputs"][0]["shape"])) + 4
    signed = {key: value for key, value in header.items() if key != "checksum"}
    return json.dumps({**header, "checksum": zlib.crc32(json.dumps(signed, sort_keys=True).encode())})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 2**60}, "it holds|shards are missing"),
        ({"views": 2**40, "shard_records": 1}, "shards are missing"),
        ({"shape": [1, 2**20, 2**20]}, "1,099,511,627,776 numbers, the limit is .* KDKIT_MAX_TARGET_VALUES"),
        ({"shape": [1] * 100}, "a shape is"),
        ({"shape": [2**62] * 60}, "more than 10.18 numbers"),
    ],
)
def test_a_header_that_claims_much_is_refused_at_once(folder, change, words):
    header = json.loads((folder / "header.json").read_text())
    if "shape" in change:
        header["outputs"][0] |= {"codec": {"name": "Dense", "dtype": "float16"}, **change}
    else:
        header |= change
    (folder / "header.json").write_text(_sign(header))
    with pytest.raises(CacheError, match=words):
        TargetCache.open(folder)
