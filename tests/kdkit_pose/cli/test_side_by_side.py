"""The same work in several processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from kdkit import ConfigurationError
from kdkit.claims import claim
from kdkit_pose.cli.side_by_side import SideBySideError, run_side_by_side


def write(folder):
    (folder / str(os.getpid())).write_text(f"{torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}")


def fail_once(folder):
    with claim(folder / "first", wait=True):
        first = not (folder / "first").exists()
        (folder / "first").touch()
    if first:
        raise ConfigurationError("the first one has no luck")
    (folder / "second").touch()


def test_each_has_its_part_of_the_threads(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    run_side_by_side(write, (tmp_path,), 2)
    torch.set_num_threads(before)
    written = list(tmp_path.iterdir())
    assert len(written) == 2
    assert str(os.getpid()) not in {path.name for path in written}
    assert {path.read_text() for path in written} == {"2 2"}
    assert "OMP_NUM_THREADS" not in os.environ


def wait_long(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)


SCRIPT = """
import sys
from pathlib import Path
from kdkit_pose.cli.side_by_side import run_side_by_side
from tests.kdkit_pose.cli.test_side_by_side import wait_long

if __name__ == "__main__":
    run_side_by_side(wait_long, (Path(sys.argv[1]),), 2)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_none_is_left_when_the_first_is_killed(tmp_path, number):
    folder, script = tmp_path / "out", tmp_path / "script.py"
    folder.mkdir()
    script.write_text(SCRIPT)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, script, folder], env=environment, cwd=root) as first:
        until(lambda: len(list(folder.iterdir())) == 2)
        first.send_signal(number)
    others = [int(path.name) for path in folder.iterdir()]
    until(lambda: not any(alive(other) for other in others))


def stopped_once(folder):
    """Wait for a first signal, and write whether a second one came while it was heeded."""
    heard = []
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda found, frame: heard.append(found))
    (folder / str(os.getpid())).touch()
    while not heard:
        time.sleep(0.05)
    time.sleep(1)
    (folder / f"{os.getpid()}-heard").write_text(" ".join(map(str, heard)))


def test_ctrl_c_asks_each_process_to_stop_once(tmp_path):
    folder, script = tmp_path / "out", tmp_path / "script.py"
    folder.mkdir()
    # What a shell starts in the background ignores Ctrl-C, and so do its children.
    heeding = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script.write_text(heeding + SCRIPT.replace("wait_long", "stopped_once"))
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, script, folder]
    # In a session of its own, so that a terminal's Ctrl-C can be made: it reaches the whole group.
    with subprocess.Popen(
        command, env=environment, cwd=root, start_new_session=True, stderr=subprocess.DEVNULL
    ) as first:
        until(lambda: len(list(folder.iterdir())) == 2)
        os.killpg(first.pid, signal.SIGINT)
        first.wait(timeout=60)
    heard = [path.read_text() for path in folder.glob("*-heard")]
    assert heard == [str(int(signal.SIGTERM))] * 2


def until(holds):
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("it took longer than 30 s")


def alive(process):
    try:
        # A process that has ended and was not waited for counts as ended.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_fails_is_said_and_others_go_on(tmp_path, capfd):
    with pytest.raises(SideBySideError, match="1 of 2 processes failed, see above"):
        run_side_by_side(fail_once, (tmp_path,), 2)
    assert "error: the first one has no luck" in capfd.readouterr().err
    assert (tmp_path / "second").exists()
