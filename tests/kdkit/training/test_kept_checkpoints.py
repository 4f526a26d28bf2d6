"""Checkpoints on disk: whole or not there, checked, and more than one."""

import errno
import gc
import os
import weakref

import pytest
import torch

from kdkit import CheckpointError, RunFolderError
from kdkit.training.checkpoint import load_checkpoint, save_checkpoint
from kdkit.training.kept_checkpoints import KeptCheckpoints


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((100,), float(step))}


@pytest.fixture
def kept(tmp_path):
    return KeptCheckpoints(tmp_path / "checkpoints")


def names(kept):
    return sorted(path.name for path in kept.folder.iterdir())


def test_plain_torch_reads_it_and_any_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(state(3), path)
    assert torch.load(path, weights_only=True)["step"] == 3
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)
    for length in (0, 1, 100, len(content) - 50, len(content) - 45, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)


def test_a_file_of_before_there_were_checksums_is_read(tmp_path):
    torch.save({"format": 2, **state(1)}, tmp_path / "last.pt")
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 1


@pytest.mark.parametrize(
    ("keep", "there"),
    [(1, ["last.pt"]), (2, ["before-1.pt", "last.pt"]), (3, ["before-1.pt", "before-2.pt", "last.pt"])],
)
def test_the_newest_stay(kept, keep, there):
    for step in range(1, 6):
        kept.save(state(step), keep=keep, best=step == 2)
    assert names(kept) == sorted([*there, "best.pt"])
    assert [load_checkpoint(path)["step"] for path in kept.to_go_on_from] == [5, 4, 3][:keep]
    assert load_checkpoint(kept.best)["step"] == 2
    kept.save(state(6), keep=1, best=False)  # fewer from now on
    assert [load_checkpoint(path)["step"] for path in kept.to_go_on_from] == [6]


def test_without_a_second_name_for_a_file_it_is_moved(kept, monkeypatch):
    def refuse(*names):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2, 3):
        kept.save(state(step), keep=2, best=False)
    assert [load_checkpoint(path)["step"] for path in kept.to_go_on_from] == [3, 2]


def test_of_a_damaged_one_the_one_before_is_taken_and_it_is_said(kept):
    for step in (1, 2, 3):
        kept.save(state(step), keep=3, best=False)
    kept.last.write_bytes(kept.last.read_bytes()[:-100])
    said = []
    assert kept.load(said.extend)["step"] == 2
    (line,) = said
    assert "last.pt' cannot be read" in line
    assert "kept as 'last.damaged', and 'before-1.pt' is taken" in line
    assert names(kept) == ["before-1.pt", "before-2.pt", "last.damaged"]
    kept.save(state(3), keep=3, best=False)
    assert [load_checkpoint(path)["step"] for path in kept.to_go_on_from] == [3, 2, 1]


def test_a_damaged_one_keeps_nothing_of_its_reader_alive(kept):
    """An error that is kept holds the frames it went through, and with them a run's networks."""
    for step in (1, 2):
        kept.save(state(step), keep=2, best=False)
    kept.last.write_bytes(b"PK")

    def read() -> weakref.ref[torch.nn.Module]:
        network = torch.nn.Linear(1, 1)
        kept.load(lambda lines: None)
        return weakref.ref(network)

    gc.disable()
    try:
        assert read()() is None
    finally:
        gc.enable()


def test_if_all_are_damaged_the_newest_is_named_and_nothing_is_moved(kept):
    for step in (1, 2):
        kept.save(state(step), keep=2, best=False)
    for path in kept.to_go_on_from:
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        kept.load(lambda lines: None)
    assert names(kept) == ["before-1.pt", "last.pt"]


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
@pytest.mark.parametrize("keep", [1, 2])
def test_a_full_disk_leaves_the_last_one(kept, monkeypatch, fails, keep):
    for step in (1, 2):
        kept.save(state(step), keep=keep, best=False)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*arguments, **options):
        raise full

    if fails == "write":
        monkeypatch.setattr("kdkit.training.checkpoint._Hashing.write", fail)
    else:
        real = getattr(os, fails)
        monkeypatch.setattr(os, fails, lambda *names: real(*names) if "before" in str(names) else fail())
    with pytest.raises(RunFolderError, match=r"No space left on device\): '.*last\.pt' is intact"):
        kept.save(state(3), keep=keep, best=False)
    monkeypatch.undo()
    assert load_checkpoint(kept.to_go_on_from[0])["step"] == 2
    assert not list(kept.folder.glob(".*"))


def test_what_a_real_device_without_room_says(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full on this system")
    from kdkit.training.checkpoint import _write

    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        _write(state(1), file)
