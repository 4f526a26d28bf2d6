import json
import signal
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from kdkit.training.checkpoint import load_checkpoint
from tests.kdkit.training import together
from tests.started import run

PROGRAM = Path(together.__file__)


def run_courses(count: int, folder: Path, *courses: str, **extra: str) -> list[tuple[int, str]]:
    """Return exit code and errors of each process."""
    return [(code, errors) for code, _, errors in run(count, [PROGRAM, folder, *courses], **extra)]


def lines(folder: Path) -> list[dict[str, float]]:
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("seconds", "stage")} for line in read]


def stages(folder: Path) -> list[str]:
    return [json.loads(line)["stage"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def furthest(one: Path, other: Path) -> float:
    """Return how far two finished students are apart."""
    mine, theirs = (load_file(folder / "student.safetensors") for folder in (one, other))
    return max(float((mine[name] - theirs[name]).abs().max()) for name in mine)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Every course's run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    ended = run_courses(1, folder, *together.COURSES)
    assert [code for code, _ in ended] == [0], ended
    return folder


@pytest.fixture(scope="module")
def in_two(tmp_path_factory):
    """Every course's run in two processes, and one that is refused."""
    folder = tmp_path_factory.mktemp("two")
    ended = run_courses(2, folder, "refused", *together.COURSES)
    assert [code for code, _ in ended] == [0, 0], ended
    assert json.loads((folder / "processes.json").read_text()) == 2
    return folder


@pytest.mark.parametrize("course", together.COURSES)
def test_two_processes_give_the_losses_of_one(alone, in_two, course):
    one, two = lines(alone / course), lines(in_two / course)
    assert stages(alone / course) == stages(in_two / course)
    for before, now in zip(one, two, strict=True):
        assert now == pytest.approx(before, abs=1e-6, rel=0)
    assert furthest(alone / course, in_two / course) < 1e-6


def test_all_processes_switch_at_the_first_ones_plateau(in_two):
    # The second process was told other metrics, by which the first stage would have been over at another epoch.
    assert stages(in_two / "plateau") == ["first"] * 3 + ["second"] * 2


def test_all_processes_are_told_why_the_first_cannot_begin(in_two):
    told = [(in_two / f"refused-{rank}").read_text() for rank in range(2)]
    assert told[0] == told[1]
    assert "holds files of a run but no readable config.json" in told[0]


def test_a_killed_process_ends_the_others_and_another_number_goes_on(alone, tmp_path):
    began = time.monotonic()
    (first, told), (second, _) = run_courses(2, tmp_path, "odkd", SIGNAL=f"1:5:{int(signal.SIGKILL)}")
    assert second == -signal.SIGKILL
    assert first == 1
    assert "Error" in told
    assert time.monotonic() - began < 60
    assert not (tmp_path / "odkd" / "student.safetensors").exists()
    assert load_checkpoint(tmp_path / "odkd" / "checkpoints" / "last.pt")["distiller"]["curriculum"]["steps"] == 5
    # The newest one is damaged, too: all go on from the one before.
    (tmp_path / "odkd" / "checkpoints" / "last.pt").write_bytes(b"PK")
    ended = run_courses(3, tmp_path, "odkd")
    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert lines(tmp_path / "odkd")[-1] == pytest.approx(lines(alone / "odkd")[-1], abs=1e-6, rel=0)
    assert furthest(alone / "odkd", tmp_path / "odkd") < 1e-6


def test_one_process_that_is_asked_to_stop_lets_all_save_and_end(alone, tmp_path):
    ended = run_courses(2, tmp_path, "odkd", SIGNAL=f"1:3:{int(signal.SIGTERM)}")
    assert [code for code, _ in ended] == [143, 143]
    assert load_checkpoint(tmp_path / "odkd" / "checkpoints" / "last.pt")["distiller"]["curriculum"]["steps"] == 4
    assert [code for code, _ in run_courses(1, tmp_path, "odkd")] == [0]
    assert furthest(alone / "odkd", tmp_path / "odkd") < 1e-6


def test_processes_that_see_different_folders_are_told(tmp_path):
    # A folder by its name alone, which each process has in its own place.
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    told = [errors for _, errors in run_courses(2, Path("mine"), "uneven", FOLDERS=str(tmp_path))]
    assert "process 1 of 2 does not see what the first one sees" in told[1]
    assert "give a folder that all machines share" in told[1]
