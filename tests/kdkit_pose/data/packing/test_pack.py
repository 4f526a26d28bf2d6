"""What packing writes: resumable, checked when it is read, and the same whoever writes it."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.codecs import DARK
from kdkit_pose.data import Augment, CocoKeypoints, PackedKeypoints, pack, packed_bytes
from kdkit_pose.data.augment import Crop
from kdkit_pose.data.mask_source import MaskSource, MasksUsed
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.region import find_region

CODEC = DARK((32, 32))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_picture_is_read_once_and_progress_is_told(tiny_people: Any, tmp_path: Path) -> None:
    reads: Counter[int] = Counter()

    def counting(source: Any) -> Any:
        def read(entry: Mapping[str, Any]) -> np.ndarray:
            reads[entry["id"]] += 1
            return source(entry)

        return read

    data, told = tiny_people(wrap=counting), []
    pack(data, tmp_path / "packed", progress=lambda done, total: told.append((done, total)))
    assert set(reads.values()) == {1}
    assert told[-1] == (len(data), len(data))


@pytest.mark.parametrize(("augment", "oversample"), [(Augment(), 2.0), (None, 0.5)])
def test_its_bytes_are_known_before_any_picture_is_read(
    tiny_people: Any, tmp_path: Path, augment: Augment | None, oversample: float
) -> None:
    def unread(source: Any) -> Any:
        def read(entry: Mapping[str, Any]) -> np.ndarray:
            raise AssertionError(f"picture {entry['id']} is read")

        return read

    expected = packed_bytes(tiny_people(wrap=unread), augment=augment, oversample=oversample)
    pack(tiny_people(), tmp_path / "packed", augment=augment, oversample=oversample, shard_bytes=30_000)
    written = {path.name: path.stat().st_size for path in (tmp_path / "packed").iterdir()}
    del written["header.json"]
    assert sum(written.values()) == expected
    with pytest.raises(ConfigurationError, match="oversample"):
        packed_bytes(tiny_people(), oversample=0.0)


class Interruption(Exception):
    """What stops a packing."""


def test_an_interrupted_packing_is_gone_on_with(tiny_people: Any, tmp_path: Path) -> None:
    data, whole = tiny_people(), tmp_path / "whole"
    pack(data, whole, shard_bytes=30_000)
    shards = sorted(whole.glob("shard-*"))
    assert len(shards) > 3

    def stop(done: int, total: int) -> None:
        if done > total / 3:
            raise Interruption

    part = tmp_path / "part"
    with pytest.raises(Interruption):
        pack(data, part, shard_bytes=30_000, progress=stop)
    with pytest.raises(DataError, match="was interrupted"):
        PackedKeypoints(part, codec=CODEC)
    written = {path: path.stat().st_mtime_ns for path in part.glob("shard-*")}
    assert 0 < len(written) < len(shards)
    # What a crash while it was written may leave under its last name.
    last = part / shards[-1].name
    last.write_bytes(shards[-1].read_bytes()[:-7])
    told: list[int] = []
    pack(data, part, shard_bytes=30_000, progress=lambda done, total: told.append(done))
    assert contents(part) == contents(whole)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert told[0] > 1
    assert told[-1] == len(data)
    # Of what is finished nothing is written again.
    pack(data, part, shard_bytes=30_000, progress=lambda done, total: pytest.fail("nothing is left to do"))
    # What a finished folder has lost is made again.
    last.unlink()
    (part / "persons.npy").write_bytes(b"spoilt")
    header = (part / "header.json").stat().st_mtime_ns
    pack(data, part, shard_bytes=30_000)
    assert contents(part) == contents(whole)
    assert (part / "header.json").stat().st_mtime_ns == header


def test_workers_write_the_same(content: Any, person: Any, folder: Path, tmp_path: Path) -> None:
    people = content(*(person(id=number, bbox=[130.0, 20.0, 180.0, 200.0 + number]) for number in range(1, 5)))
    data = CocoKeypoints(people, folder, codec=CODEC)
    alone = pack(data, tmp_path / "alone", shard_bytes=20_000)
    together = pack(data, tmp_path / "together", shard_bytes=20_000, workers=2)
    assert len(list(alone.glob("shard-*"))) > 2
    assert contents(alone) == contents(together)


def test_a_folder_of_something_else_is_left_alone(tiny_people: Any, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(tiny_people(), out)
    before = contents(out)
    for what, data, options in (
        ("source", tiny_people(drawing=2), {}),
        ("oversample: 2.0 and 1.5", tiny_people(), {"oversample": 1.5}),
        ("augment", tiny_people(), {"augment": None}),
        ("has_masks: True and False", tiny_people(masks=False), {}),
    ):
        with pytest.raises(DataError, match=f"other packed persons, which differ in .*{what}"):
            pack(data, out, **options)
    assert contents(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(DataError, match="is not empty"):
        pack(tiny_people(), tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"diary.txt": b"dear diary"}


def test_room_on_the_disk_is_looked_at_first(
    tiny_people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DataError, match="GB are free on the disk"):
        pack(tiny_people(), tmp_path / "packed")
    assert not list((tmp_path / "packed").glob("shard-*"))


@pytest.mark.parametrize("options", [{"oversample": 0}, {"workers": -1}, {"shard_bytes": 0}], ids=str)
def test_arguments_out_of_range(tiny_people: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="packing needs"):
        pack(tiny_people(), tmp_path / "packed", **options)
    assert not (tmp_path / "packed").exists()


def test_damage_is_noticed(tiny_people: Any, packed: Any) -> None:
    path = packed(tiny_people())

    def refused(name: str, content: bytes | None, match: str) -> None:
        file = path / name
        before = file.read_bytes()
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        with pytest.raises(DataError, match=match):
            PackedKeypoints(path, codec=CODEC)
        file.write_bytes(before)

    persons, shard = ((path / name).read_bytes() for name in ("persons.npy", "shard-00000.bin"))
    header = json.loads((path / "header.json").read_text())
    refused("shard-00000.bin", shard[:-1], "has .* bytes, not")
    refused("shard-00000.bin", None, "is missing")
    refused("persons.npy", persons[:-40] + b"\x01" + persons[-39:], "damaged or changed")
    refused("persons.npy", None, "cannot be read")
    refused("header.json", None, "holds no packed persons")
    refused("header.json", b"{", "no valid JSON")
    for change, match in (
        ({"format": "other"}, "expected the format"),
        ({"shards": [len(shard) - 1]}, "does not fit its header"),
        ({"shards": ["many"]}, "damaged header"),
        ({"persons": 3}, "does not fit its header"),
        ({"persons": None}, "damaged header"),
        ({"has_masks": "yes"}, "damaged header"),
        ({"input_size": [32]}, "damaged header"),
        ({"augment": {"zoom": 3}}, "damaged header"),
        ({"skeleton": {}}, "damaged header"),
        ({"source": 3}, "damaged header"),
        ({"image_ids": "12"}, "damaged header"),
        ({"skipped": {"left_out": 3}}, "damaged header"),
    ):
        refused("header.json", json.dumps(header | change).encode(), match)
    missing = {key: value for key, value in header.items() if key != "oversample"}
    refused("header.json", json.dumps(missing).encode(), "lacks 'oversample'")
    PackedKeypoints(path, codec=CODEC)


def test_a_header_reads_back(tiny_people: Any, packed: Any) -> None:
    header = Header.read(packed(tiny_people(), augment=None) / "header.json")
    assert header.augment is None
    used = MasksUsed(MaskSource("masks.safetensors", "0" * 64, "fpn", (96, 128), 0.5, 0.8, 30, 0.6), 2, 9)
    assert MasksUsed.from_json(json.loads(json.dumps(used.to_json()))) == used


def test_a_region_holds_every_view_and_not_much_more() -> None:
    """The corners of every crop that can be drawn lie in the window, and some reach its edges."""
    rng, codec = np.random.default_rng(0), DARK((96, 128))
    keypoints, labelled = rng.uniform([900, 800], [1100, 1300], size=(17, 2)), np.ones(17, dtype=bool)
    upper = tuple(range(11))
    for options in ({}, {"rotation_factor": 10.0}, {"rotation_probability": 0.0, "scale_factor": 0.1}):
        augment = Augment(half_body_probability=0.5, **options)
        crop = Crop(np.array([1000.0, 1050.0]), np.array([300.0, 400.0]))
        found = find_region(crop, (2000, 2000), codec.input_size, 100, augment, keypoints, labelled, upper)
        left, top, width, height = found.window
        assert found.stored == (width, height)
        seen = []
        for _ in range(4000):
            placed = augment.place(crop, augment.draw(rng), keypoints, labelled, upper)
            matrix = codec.affine(placed.center, placed.scale, placed.rotation)
            corners = np.array([[0, 0], [96, 0], [0, 128], [96, 128]]) - matrix[:, 2]
            seen.append(corners @ np.linalg.inv(matrix[:, :2]).T)
        least, most = np.min(seen, axis=(0, 1)), np.max(seen, axis=(0, 1))
        assert (least >= [left, top]).all()
        assert (most <= [left + width - 1, top + height - 1]).all()
        assert (least - [left, top] < 8).all()
        assert ([left + width, top + height] - most < 8).all()
