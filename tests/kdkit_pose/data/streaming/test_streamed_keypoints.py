"""Streamed persons are the samples of the packed ones, and of the data set they were cut from."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdkit import CachedTeacher, ModuleTeacher, build_cache
from kdkit.cache import CachedDataset, Dense
from kdkit.errors import ConfigurationError, DataError
from kdkit.processes import Processes
from kdkit.streaming import Shards, ShardSample, StreamLoader, index_shards, write_shard
from kdkit_pose.codecs import DARK
from kdkit_pose.data import Augment, CocoKeypoints, PackedKeypoints, StreamedKeypoints, loader, shard
from kdkit_pose.data.maskless import without_masks
from kdkit_pose.data.streaming.person_files import PERSON

pytest.importorskip("webdataset", reason="the extra 'streaming' is not installed")

CODEC = DARK((32, 32))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype, name
        assert torch.equal(value, other[name]), name


@pytest.fixture
def streamed(tmp_path: Path) -> Any:
    """Makes shards of a data set, in a folder of its own."""

    def make(data: CocoKeypoints, **options: Any) -> Path:
        folder = tmp_path / f"shards{len(list(tmp_path.iterdir()))}"
        return shard(data, folder, **{"shard_bytes": 30_000, **options})

    return make


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_same_samples_as_packed_for_the_same_seed_id_and_view(
    tiny_people: Any, packed: Any, streamed: Any, encoding: Any
) -> None:
    data = tiny_people(augment=Augment(), seed=5)
    options = {"codec": CODEC, "augment": Augment(), "seed": 5, "canonical": True}
    expected = PackedKeypoints(packed(data), **options)
    found = StreamedKeypoints(streamed(data, encoding=encoding), **options)
    assert len(found.shards.index.shards) > 3
    assert len(found) == len(expected)
    assert found.fingerprint() == expected.fingerprint()
    assert found.masked == expected.masked > 0
    assert set(found.annotation_ids) == set(expected.annotation_ids)
    assert found.masked == sum(found.own_masks)
    rows = {id: row for row, id in enumerate(expected.annotation_ids)}
    stream = StreamLoader(found.shards, found, 2, buffer=8)
    for epoch in (0, 3):
        stream.set_epoch(epoch)
        for batch in stream:
            of_them = [(rows[id], epoch) for id in batch["id"].tolist()]
            same(batch, expected.__getitems__(of_them).fields)
            assert found.prepare(batch)["heatmap"].shape[1] == 17
    np.testing.assert_array_equal(found.matrix(0, 2), expected.matrix(rows[found.annotation_ids[0]], 2))


def test_prepared_samples_are_those_of_the_pictures(tiny_people: Any, streamed: Any) -> None:
    data = tiny_people(augment=Augment(), seed=5)
    found = StreamedKeypoints(streamed(data, oversample=100), codec=CODEC, augment=Augment(), seed=5)
    rows = {id: row for row, id in enumerate(data.annotation_ids)}
    batch = next(iter(StreamLoader(found.shards, found, 4)))
    ready = found.prepare(batch)
    for place, id in enumerate(batch["id"].tolist()):
        expected = data[rows[id], 0]
        assert expected.keys() <= ready.keys()
        for name in expected.keys() - {"image", "mask", "heatmap"}:
            assert torch.equal(ready[name][place], expected[name]), name
        torch.testing.assert_close(ready["heatmap"][place], expected["heatmap"], rtol=0, atol=1e-6)
        # A level of 255 here and there.
        assert (ready["image"][place] - expected["image"]).abs().max() < 0.02


def test_rows_are_read_as_by_the_stream(tiny_people: Any, streamed: Any) -> None:
    found = StreamedKeypoints(streamed(tiny_people()), codec=CODEC, augment=Augment())
    one = {int(sample["id"]): sample for sample in (found[row, 0] for row in range(len(found)))}
    assert tuple(one) == found.annotation_ids
    for batch in StreamLoader(found.shards, found, 2, shuffle=False):
        for place, id in enumerate(batch["id"].tolist()):
            same({name: value[place] for name, value in batch.items()}, one[id])
    same(found[-1], found[len(found) - 1])
    same(found[0], found[0, 0])
    with pytest.raises(IndexError):
        found[len(found)]
    # A loader of rows, with workers, as caches are built with.
    rows = [row for batch in loader(found, 2, workers=2) for row in batch["id"].tolist()]
    assert tuple(rows) == found.annotation_ids


def test_two_processes_and_workers_share_persons(tiny_people: Any, streamed: Any) -> None:
    found = StreamedKeypoints(streamed(tiny_people()), codec=CODEC)
    found = pickle.loads(pickle.dumps(found))
    whole = list(StreamLoader(found.shards, found, 4, seed=1))
    parts = [
        list(StreamLoader(found.shards, found, 4, seed=1, workers=2, processes=Processes(rank, 2)))
        for rank in range(2)
    ]
    assert len(whole) == len(parts[0]) == len(parts[1]) > 1
    for batch, *halves in zip(whole, *parts, strict=True):
        same({name: torch.cat([half[name] for half in halves]) for name in batch}, batch)


def test_cached_teachers_find_their_records(tiny_people: Any, packed: Any, streamed: Any, tmp_path: Path) -> None:
    data = tiny_people(augment=Augment(), seed=5)
    options = {"codec": CODEC, "augment": Augment(), "seed": 5}
    source = PackedKeypoints(packed(data), **options)
    found = StreamedKeypoints(streamed(data), **options)
    torch.manual_seed(0)
    teacher = ModuleTeacher("teacher", torch.nn.Conv2d(3, 17, 8, 8), "image", "heatmap")
    cache = {"codecs": {"heatmap": Dense()}, "views": 2, "prepare": source.prepare}
    path = build_cache(tmp_path / "cache", teacher, source, **cache).path
    # Of the same persons: nothing is left to be made.
    assert build_cache(path, teacher, found, **cache).built == 0
    from_records = CachedTeacher("teacher", _opened(path), records="records")
    looked_up = CachedTeacher("teacher", _opened(path))
    with_records = CachedDataset(found, from_records.cache)
    for workers in (0, 2):
        stream = StreamLoader(found.shards, with_records, 4, views=2, workers=workers)
        stream.set_epoch(3)
        for batch in stream:
            assert (batch["view"] == 1).all()
            expected = teacher.targets(found.prepare({k: v for k, v in batch.items() if k != "records"}))
            for cached in (from_records, looked_up):
                torch.testing.assert_close(
                    cached.targets(batch)["heatmap"], expected["heatmap"], rtol=1e-2, atol=1e-2
                )


def _opened(path: Path) -> Any:
    from kdkit import TargetCache

    return TargetCache.open(path)


class Interruption(Exception):
    """What stops it."""


def test_what_was_interrupted_is_gone_on_with(tiny_people: Any, streamed: Any, tmp_path: Path) -> None:
    data, told = tiny_people(), []
    whole = streamed(data, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(data), len(data))

    def stop(done: int, total: int) -> None:
        if done > total / 3:
            raise Interruption

    part = tmp_path / "part"
    with pytest.raises(Interruption):
        shard(data, part, shard_bytes=30_000, progress=stop)
    with pytest.raises(DataError, match="may be unfinished"):
        StreamedKeypoints(part, codec=CODEC)
    written = {path: path.stat().st_mtime_ns for path in part.glob("shard-*.tar")}
    assert 0 < len(written) < len(list(whole.glob("shard-*")))
    first, *_ = sorted(written)
    first.write_bytes(first.read_bytes()[:1500])
    shard(data, part, shard_bytes=30_000)
    assert contents(part) == contents(whole)
    assert {
        path: path.stat().st_mtime_ns for path in list(written)[1:] if path != first
    }.items() <= written.items()
    # What is lost is made again, and nothing else.
    first.unlink()
    with pytest.raises(DataError, match="is missing"):
        StreamedKeypoints(part, codec=CODEC)
    shard(data, part, shard_bytes=30_000)
    assert contents(part) == contents(whole)
    shard(data, part, shard_bytes=30_000, progress=lambda done, total: pytest.fail("nothing is left to do"))


def _spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_a_damaged_shard_is_never_taken_over(tiny_people: Any, streamed: Any, tmp_path: Path) -> None:
    data = tiny_people()
    whole = contents(streamed(data))
    finished = shard(data, tmp_path / "finished", shard_bytes=30_000)
    _spoil(finished / "shard-000000.tar")
    with pytest.raises(DataError, match="checksum"):
        Shards(finished).verify()
    shard(data, finished, shard_bytes=30_000)
    assert contents(finished) == whole

    def stop(done: int, total: int) -> None:
        if done > total / 3:
            raise Interruption

    part = tmp_path / "part"
    with pytest.raises(Interruption):
        shard(data, part, shard_bytes=30_000, progress=stop)
    _spoil(part / "shard-000000.tar")
    shard(data, part, shard_bytes=30_000)
    assert contents(part) == whole


def test_workers_write_the_same(content: Any, person: Any, folder: Path, tmp_path: Path) -> None:
    people = content(*(person(id=number, bbox=[130.0, 20.0, 180.0, 200.0 + number]) for number in range(1, 5)))
    data = CocoKeypoints(people, folder, codec=CODEC)
    alone = shard(data, tmp_path / "alone", shard_bytes=20_000)
    together = shard(data, tmp_path / "together", shard_bytes=20_000, workers=2)
    assert len(list(alone.glob("shard-*"))) > 2
    assert contents(alone) == contents(together)


def test_what_does_not_fit_is_refused(tiny_people: Any, streamed: Any, packed: Any, tmp_path: Path) -> None:
    data = tiny_people()
    folder = streamed(data, augment=None)
    for other, options, match in (
        (tiny_people(drawing=2), {"augment": None}, "source"),
        (data, {}, "augment"),
        (data, {"augment": None, "encoding": "png"}, "encoding: raw and png"),
        (data, {"augment": None, "shard_bytes": 9}, "shard_bytes: 30000 and 9"),
    ):
        with pytest.raises(DataError, match=f"other persons, which differ in .*{match}"):
            shard(other, folder, **{"shard_bytes": 30_000, **options})
    with pytest.raises(ConfigurationError, match="without the room"):
        StreamedKeypoints(folder, codec=CODEC, augment=Augment())
    with pytest.raises(ConfigurationError, match="run kdkit-pose shard again"):
        StreamedKeypoints(folder, codec=DARK((64, 64)))
    with pytest.raises(DataError, match="holds no shards of persons"):
        StreamedKeypoints(packed(data), codec=CODEC)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(DataError, match="is not empty"):
        shard(data, tmp_path / "mine")
    for options in ({"oversample": 0}, {"workers": -1}, {"shard_bytes": 0}):
        with pytest.raises(ConfigurationError, match="making shards needs"):
            shard(data, tmp_path / "new", **options)
    with pytest.raises(ConfigurationError, match="the encoding must be one of"):
        shard(data, tmp_path / "new", encoding="jpg")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_masks_can_be_left_out(tiny_people: Any, streamed: Any) -> None:
    folder = streamed(tiny_people())
    bare = StreamedKeypoints(folder, codec=CODEC, masks=False)
    assert "mask" not in bare[0]
    again = without_masks(StreamedKeypoints(folder, codec=CODEC))
    same(again[0], bare[0])
    assert again.fingerprint() == bare.fingerprint()


@pytest.mark.parametrize("encoding", ["raw", "png"])
@pytest.mark.parametrize("damage", ["none", "size", "cut", "record", "numbers", "missing"])
def test_damaged_persons_are_named(tiny_people: Any, streamed: Any, encoding: Any, damage: str) -> None:
    folder = streamed(tiny_people(), encoding=encoding, shard_bytes=10**7)
    path = folder / "shard-000000.tar"
    persons = [(sample.key, dict(sample.members)) for sample in Shards(folder).read(0)]
    pixels = "png" if encoding == "png" else "pixels.npy"
    (_, first), (_, second) = persons[:2]
    if damage == "size":
        first[pixels] = second[pixels]
    elif damage == "cut":
        first[pixels] = first[pixels][: len(first[pixels]) // 2]
    elif damage == "record":
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(1))
        first[PERSON] = buffer.getvalue()
    elif damage == "numbers":
        record = ShardSample("0", first, "").array(PERSON).copy()
        record["center"] = np.nan
        buffer = io.BytesIO()
        np.save(buffer, record)
        first[PERSON] = buffer.getvalue()
    elif damage == "missing":
        del first[pixels]
    write_shard(path, persons)
    index_shards(folder)
    data = StreamedKeypoints(folder, codec=CODEC)
    if damage == "none":
        data[0]
        return
    with pytest.raises(DataError, match=r"shard-000000\.tar.*sample '0"):
        data[0]


def test_a_folder_of_two_sets_is_noticed(tiny_people: Any, streamed: Any) -> None:
    folder = streamed(tiny_people(), shard_bytes=10**7)
    path = folder / "persons.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"persons": content["persons"] + 1}))
    with pytest.raises(DataError, match="of different sets"):
        StreamedKeypoints(folder, codec=CODEC)
    path.write_text(json.dumps(content | {"masked": "many"}))
    with pytest.raises(DataError, match="how many persons have a mask"):
        StreamedKeypoints(folder, codec=CODEC)
