"""Reading and writing shards: damage is named, and nothing in them is trusted."""

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from kdkit.errors import ConfigurationError, DataError
from kdkit.streaming import ShardIndex, Shards, ShardSample, index_shards, write_shard
from kdkit.streaming import extra as extra_module

from .conftest import SIZES, members


def keys(shards: Shards, number: int, *place: int) -> list[int]:
    return [sample.id for sample in shards.read(number, *place)]


def indexed_as_it_is(path: Path, samples: int) -> None:
    """Write an index that believes one file."""
    content = path.read_bytes()
    shard = {
        "name": path.name,
        "samples": samples,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    index = ShardIndex.__new__(ShardIndex)
    object.__setattr__(index, "shards", (type(ShardIndex.read(path.parent).shards[0])(**shard),))
    index.write(path.parent)


def test_samples_are_read_as_they_were_written(make_shards):
    shards = Shards(make_shards())
    assert len(shards) == sum(SIZES)
    assert keys(shards, 0) == list(range(100, 107))
    assert keys(shards, 0, 2, 5) == [102, 103, 104]
    assert keys(shards, 0, 7) == []
    sample = next(shards.read(2))
    assert sample.members == members(110)
    assert sample.json("json") == {"number": 110}
    np.testing.assert_array_equal(sample.array("npy"), np.full((2, 3), 110, np.float32))
    with pytest.raises(DataError, match=r"shard-00002.tar: sample '000000000110' has no 'jpg', but json, npy"):
        sample.member("jpg")
    shards.verify()


def test_the_same_samples_make_the_same_bytes(make_shards):
    one, other = make_shards(name="one"), make_shards(name="other")
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in other.iterdir()}


def test_shards_of_another_program_get_an_index(make_shards):
    folder = make_shards()
    index = ShardIndex.read(folder)
    (folder / "index.json").unlink()
    with pytest.raises(DataError, match="index_shards makes one"):
        Shards(folder)
    assert index_shards(folder) == index == ShardIndex.read(folder)
    with pytest.raises(DataError, match="no shards named"):
        index_shards(folder, "*.tgz")
    (folder / "zero.tar").write_bytes(b"no tar file")
    with pytest.raises(DataError, match=r"zero\.tar: no shard, or damaged"):
        index_shards(folder)


def test_damage_names_the_shard(make_shards):
    folder = make_shards()
    path = folder / "shard-00000.tar"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(DataError, match=r"shard-00000\.tar: is missing"):
        Shards(folder)
    path.write_bytes(content[:-512])
    with pytest.raises(DataError, match=r"shard-00000\.tar: has .* bytes, not"):
        Shards(folder)
    path.write_bytes(content)
    shards = Shards(folder)
    path.write_bytes(content[:1024] + b"\x01" + content[1025:])
    with pytest.raises(DataError, match=r"shard-00000\.tar"):
        list(shards.read(0))
    with pytest.raises(DataError, match=r"shard-00000\.tar: its checksum is another"):
        shards.verify()
    path.unlink()
    with pytest.raises(DataError, match=r"shard-00000\.tar: cannot be read"):
        list(shards.read(0))
    with pytest.raises(DataError, match=r"shard-00000\.tar: cannot be read"):
        shards.verify()


def test_a_shard_cut_off_anywhere_is_noticed(make_shards):
    folder = make_shards((3,))
    shards, path = Shards(folder), folder / "shard-00000.tar"
    content = path.read_bytes()
    used = len(content.rstrip(b"\0"))
    assert used > 5 * 1024
    for end in range(0, used, 200):
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"shard-00000\.tar"):
            list(shards.read(0))
        with pytest.raises(DataError, match=r"shard-00000\.tar"):
            index_shards(folder)


@pytest.mark.parametrize(("claimed", "words"), [(8, "holds only 7"), (6, "holds more")])
def test_an_index_that_disagrees_with_a_file_is_noticed(make_shards, claimed, words):
    folder = make_shards((7,))
    indexed_as_it_is(folder / "shard-00000.tar", claimed)
    with pytest.raises(DataError, match=f"shard-00000.tar: {words}.*its index says {claimed}"):
        list(Shards(folder).read(0))


@pytest.mark.parametrize("name", ["../other.tar", "/etc/passwd", "pipe:ls", "a\\b", "", ".hidden", "a|b"])
def test_an_index_leads_to_no_other_file(make_shards, name):
    folder = make_shards()
    path = folder / "index.json"
    content = json.loads(path.read_text())
    content["shards"][0]["name"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="no plain file name"):
        Shards(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"shards": []},
        {"shards": 3},
        {"shards": [{"name": "a"}]},
        {"fingerprint": "0"},
    ],
    ids=str,
)
def test_a_damaged_index_is_noticed(make_shards, change):
    path = make_shards() / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="index"):
        ShardIndex.read(path.parent)
    for text in ("{", "[" * 100_000, "[]"):
        path.write_text(text)
        with pytest.raises(DataError, match="index"):
            ShardIndex.read(path.parent)
    for key, value in (("samples", 0), ("size", True), ("sha256", 1), ("samples", "3")):
        shard = {"name": "a.tar", "samples": 1, "size": 1, "sha256": "0"} | {key: value}
        path.write_text(json.dumps({"format": "kdkit shards 1", "shards": [shard]}))
        with pytest.raises(DataError, match="damaged index"):
            ShardIndex.read(path.parent)


class Trap:
    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_nothing_is_unpickled(make_shards):
    folder = make_shards()
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    write_shard(
        folder / "trap.tar", [("1", {"npy": buffer.getvalue(), "pyd": pickle.dumps(Trap()), "pickle": b"."})]
    )
    index_shards(folder)
    shards = Shards(folder)
    sample = next(shards.read(len(shards.index.shards) - 1))
    assert set(sample.members) == {"npy", "pyd", "pickle"}
    with pytest.raises(DataError, match=r"trap\.tar: 'npy' of sample '1' is damaged .*Python objects"):
        sample.array("npy")
    assert not Trap.sprung


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def test_arrays_of_any_kind_come_back_and_claims_are_checked():
    for array in (
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 4), np.uint8),
        np.array(3.5),
        np.zeros(1, dtype=[("id", "<i8"), ("place", "<f8", (17, 2))]),
    ):
        found = ShardSample("1", {"npy": saved(array)}, "a.tar").array("npy")
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    good = saved(np.arange(6, dtype=np.uint8).reshape(2, 3))
    huge = good.replace(b"(2, 3), }           ", b"(2, 3000000000000), }"[:20])
    for bad in (b"", good[:20], good[:-1], good + b"1", b"\x93NUMPY\x09\x00" + good[8:], huge):
        with pytest.raises(DataError, match=r"a\.tar: 'npy' of sample '1' is damaged"):
            ShardSample("1", {"npy": bad}, "a.tar").array("npy")
    for bad in (b"{", b"[" * 200_000, b"\xff"):
        with pytest.raises(DataError, match="is damaged"):
            ShardSample("1", {"json": bad}, "a.tar").json("json")


def test_any_key_is_an_id():
    ids = [ShardSample(key, {}, "").id for key in ("000012", "-3", "train/000012", "cat", "dog", "9" * 30)]
    assert ids[:3] == [12, -3, 12]
    assert len(set(ids)) == 5
    assert all(0 <= one < 2**63 for one in ids[3:])


@pytest.mark.parametrize("kind", ["sparse", "link", "claim"])
def test_members_that_claim_or_lead_anywhere_are_refused(make_shards, kind):
    folder = make_shards((1,))
    path = folder / "shard-00000.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("1.npy")
        if kind == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
        elif kind == "claim":
            info.size = 2**40
            tar.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))  # without what it claims
            tar.offset += 512
        else:
            header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
            header[156:157] = tarfile.GNUTYPE_SPARSE
            header[483:495] = b"%011o\0" % (8**11 - 1)
            header[148:156] = b"        "
            header[148:156] = b"%06o\0 " % sum(header)
            tar.fileobj.write(bytes(header))
            tar.offset += 512
    indexed_as_it_is(path, 1)
    with pytest.raises(DataError, match=r"shard-00000\.tar: cannot be read .*(no plain file|claims more)"):
        list(Shards(folder).read(0))


def test_what_cannot_be_written_is_refused(make_shards, tmp_path):
    make_shards()
    for samples in ([], [("a.b", {"txt": b""})], [("a", {"txt": b""})] * 2, [("a" * 65, {"t": b""})], [("a", {})]):
        with pytest.raises(DataError, match=r"new\.tar"):
            write_shard(tmp_path / "new.tar", samples)
    assert not list(tmp_path.glob("*new.tar*"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_shard(tmp_path / "file" / "new.tar", [("a", {"txt": b""})])


@pytest.mark.parametrize("name", ["JPG", "_meta.json", "a/b", "", ".jpg"])
def test_names_that_would_not_be_read_back_are_refused(make_shards, tmp_path, name):
    make_shards()
    with pytest.raises(DataError, match=r"sample 'a' has a file .* would not be read back"):
        write_shard(tmp_path / "new.tar", [("a", {"jpg": b"1", name: b"2"})])
    assert not (tmp_path / "new.tar").exists()


def test_what_the_samples_raise_is_not_taken_for_the_shards(make_shards, tmp_path):
    make_shards()

    def samples():
        yield "a", {"jpg": b"1"}
        yield "b", {"jpg": (tmp_path / "missing.jpg").read_bytes()}

    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        write_shard(tmp_path / "new.tar", samples())


def test_a_sample_that_could_not_be_read_can_be_asked_for_again(make_shards):
    folder, broken = make_shards(), [True]

    class Breaking(io.BytesIO):
        def read(self, *size):
            if broken[0] and self.tell() > 4000:
                raise ConnectionResetError("reset by peer")
            return super().read(*size)

    shards = Shards(folder, open_shard=lambda name: Breaking((folder / name).read_bytes()))
    first = shards.sample(0).id
    for _ in range(2):
        with pytest.raises(DataError, match="reset by peer"):
            shards.sample(1)
    broken[0] = False
    assert [shards.sample(row).id for row in range(3)] == [first, first + 1, first + 2]


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extra_module, "import_module", missing)
    for use in (lambda: Shards(tmp_path), lambda: index_shards(tmp_path), lambda: write_shard(tmp_path / "a", [])):
        with pytest.raises(ConfigurationError, match=r"pip install 'kdkit\[streaming\]'"):
            use()


def test_mutated_shards_are_samples_or_named(make_shards):
    folder, draw = make_shards((3,)), np.random.default_rng(0)
    path = folder / "shard-00000.tar"
    good, read, told = path.read_bytes(), 0, []
    for _ in range(400):
        content = bytearray(good)
        for place in draw.integers(0, 6000, draw.integers(1, 5)):
            content[place : place + 1] = draw.bytes(draw.integers(0, 3))
        path.write_bytes(content)
        try:
            index_shards(folder)
            for sample in Shards(folder).read(0):
                sample.array("npy"), sample.json("json")
            read += 1
        except DataError as error:
            told.append(str(error))
    assert read > 10
    assert len(told) > 100
    assert all("shard-00000.tar" in message for message in told)
