"""The run folder looked at beforehand: what cannot be used is said, and nothing is changed."""

import json
import os

import pytest

from kdkit import RunFolderError
from kdkit.training.run_folder import RunFolder

CONFIG = {"seed": 1, "config": {"size": [64, 48], "name": "a"}}


@pytest.fixture
def begun(tmp_path):
    """A folder with a run in it."""
    folder = RunFolder(tmp_path / "run")
    folder.open(CONFIG, may_continue=True)
    folder.checkpoints.last.parent.mkdir()
    folder.checkpoints.last.touch()
    return folder


def test_looking_makes_nothing(tmp_path):
    RunFolder(tmp_path / "a" / "run").check(CONFIG)
    assert not list(tmp_path.iterdir())


def test_the_same_run_may_go_on(begun):
    begun.check(CONFIG)
    with pytest.raises(RunFolderError, match="holds a run already"):
        begun.check(CONFIG, may_continue=False)


def test_another_run_says_in_what_it_differs(begun):
    with pytest.raises(RunFolderError, match=r"differs in config\.name, seed") as caught:
        begun.check({"seed": 2, "config": {"size": (64, 48), "name": "b"}})
    assert caught.value.differences == {"config.name": ('"a"', '"b"'), "seed": ("1", "2")}


def test_of_a_part_only_the_part_is_compared(begun):
    begun.check({"config": {"name": "a"}}, partial=True)
    with pytest.raises(RunFolderError, match=r"config\.size\[0\]"):
        begun.check({"config": {"name": "a"}, "seed": 1})
    with pytest.raises(RunFolderError) as caught:
        begun.check({"config": {"name": "b", "new": 1}}, partial=True)
    assert caught.value.differences == {"config.name": ('"a"', '"b"'), "config.new": ("null", "1")}


def test_a_run_is_finished_with_its_student(begun):
    assert not begun.finished
    begun.student.touch()
    assert begun.finished
    begun.checkpoints.last.unlink()
    assert not begun.finished


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_file_is_no_folder(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="is a file") as caught:
        RunFolder(tmp_path / place).check(CONFIG)
    assert caught.value.differences == {}


@pytest.mark.parametrize("place", [".", "run", "a/run"])
def test_a_place_that_cannot_be_written_to(tmp_path, monkeypatch, place):
    looked = []
    monkeypatch.setattr(os, "access", lambda path, mode: looked.append((path, mode)))
    with pytest.raises(RunFolderError, match="cannot be written to"):
        RunFolder(tmp_path / place).check(CONFIG)
    assert looked == [(tmp_path, os.W_OK | os.X_OK)]


def test_another_run_that_comes_second_changes_nothing(tmp_path):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with first.opened({"a": 1}, may_continue=True) as found:
        assert not found
        before = first.config.read_bytes()
        refused = pytest.raises(RunFolderError, match="another process trains in")
        with refused, second.opened({"a": 2}, may_continue=True):
            pass
        assert first.config.read_bytes() == before
    assert [path.name for path in first.path.iterdir()] == ["config.json"]
    with second.opened({"a": 2}, may_continue=True):
        pass


def test_notes_are_written_and_never_compared(tmp_path):
    RunFolder(tmp_path, {"left_out": {"train": {"crowd region": 3}}}).open({"a": 1}, may_continue=True)
    folder = RunFolder(tmp_path, {"left_out": {}})
    folder.metrics.write_text("")
    assert json.loads(folder.config.read_text())["notes"] == {"left_out": {"train": {"crowd region": 3}}}
    folder.check({"a": 1})
    with pytest.raises(RunFolderError, match="differs in a "):
        folder.check({"a": 2})
