"""The fuzzer itself: it spoils the same files again, and would notice what it looks for."""

import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks import fuzz
from benchmarks.fuzzing import child
from benchmarks.fuzzing.mutations import CANARY, planted, spoil_bytes, spoil_json, spoil_tree
from benchmarks.fuzzing.targets import ANNOTATIONS, Files, Target, one_of
from kdkit.errors import DataError

VALID = json.dumps({"images": [{"id": 1, "width": 4}], "annotations": [{"bbox": [1, 2, 3, 4]}]}).encode()


def target(read: Callable[[Path], object]) -> Target:
    return Target("a reader", ANNOTATIONS, {"a.json": VALID}, one_of(("a.json",), spoil_json), read)


@pytest.mark.parametrize("spoil", [spoil_bytes, spoil_json])
def test_a_seed_spoils_alike_and_others_otherwise(spoil: Callable[[Random, bytes], bytes]) -> None:
    first, again = ([spoil(Random(f"0 {number}"), VALID) for number in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 30


def test_what_is_spoilt_is_left_as_it_was() -> None:
    content = json.loads(VALID)
    for number in range(200):
        spoil_tree(Random(number), content)
    assert content == json.loads(VALID)


def test_a_planted_pickle_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(planted(Random(0)))
    assert Path(CANARY).is_dir()


def test_what_comes_of_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "SECONDS", 0.05)

    def fail(error: BaseException) -> Callable[[Path], object]:
        def read(folder: Path) -> None:
            raise error

        return read

    found = {
        name: child._read(target(read), tmp_path)["outcome"]
        for name, read in {
            "read": lambda folder: None,
            "refused": fail(DataError("no")),
            "crash": fail(IndexError("no")),
            "exit": fail(SystemExit()),
            "hang": lambda folder: time.sleep(5),
        }.items()
    }
    assert found == {
        "read": "read",
        "refused": "DataError",
        "crash": "crash: IndexError",
        "exit": "crash: SystemExit",
        "hang": "hang",
    }


def test_valid_files_are_put_back(tmp_path: Path) -> None:
    files = {"a.json": VALID, "in/b.json": b"1"}
    child._write(tmp_path, files)
    child._write(tmp_path, {"a.json": b"spoilt", "c.json": b"new"})
    child._restore(tmp_path, files)
    left = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert left == files


def line(number: int, outcome: str) -> dict[str, object]:
    return {"number": number, "target": "a reader", "outcome": outcome, "seconds": 0.1, "cpu": 0.1, "peak": 2**20}


def test_failures_are_counted_and_their_files_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def targets(group: str, folder: Path) -> list[Target]:
        return [target(lambda folder: None)]

    monkeypatch.setattr(fuzz, "targets_of", targets)
    tally = fuzz.Tally(ANNOTATIONS, tmp_path, seed=3)
    for number, outcome in enumerate(["read", "DataError", "crash: KeyError", "hang", "code ran", "DataError"]):
        tally.add(line(number, outcome))
    found = tally.to_json()
    assert (found["files"], found["read"], found["refused"], found["failures"]) == (6, 1, {"DataError": 2}, 3)
    tally.keep_failures()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"annotations-{number}" for number in (2, 3, 4)]
    kept: Files = child.spoilt(targets("", tmp_path), 3, 2)[1]
    assert (tmp_path / "annotations-2" / "a.json").read_bytes() == kept["a.json"]


def test_a_process_that_dies_is_one_failure_and_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_process(group: str, seed: int, start: int, stop: int):  # type: ignore[no-untyped-def]
        for number in range(start, stop):
            dies = number == 2
            yield line(number, "crash: exit code -11" if dies else "read")
            if dies:
                return

    monkeypatch.setattr(fuzz, "_child", one_process)
    outcomes = [found["outcome"] for found in fuzz.outcomes(ANNOTATIONS, 0, 5)]
    assert outcomes == ["read", "read", "crash: exit code -11", "read", "read"]
