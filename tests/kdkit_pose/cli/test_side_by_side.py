"""The same work in several processes."""

import os

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


def test_what_fails_is_said_and_others_go_on(tmp_path, capfd):
    with pytest.raises(SideBySideError, match="1 of 2 processes failed, see above"):
        run_side_by_side(fail_once, (tmp_path,), 2)
    assert "error: the first one has no luck" in capfd.readouterr().err
    assert (tmp_path / "second").exists()
