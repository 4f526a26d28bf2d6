"""A run that is asked to stop."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from kdkit import Curriculum, Distiller, RunFolderError, Stage, Steps, Supervise, TrainingStopped, losses

from .test_trainer import evaluate, outcome, trainer

STOPS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


@pytest.fixture(autouse=True)
def _interruptible():
    """SIGINT is as at a terminal, also where the tests themselves were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Signalling:
    """A loader during whose n-th batch a signal comes."""

    def __init__(self, loader, number, at):
        self.loader, self.number, self.left, self.sampler = loader, number, at, loader.sampler

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for batch in self.loader:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)
            yield batch


@pytest.mark.parametrize(("number", "code"), STOPS)
@pytest.mark.parametrize("at", [1, 2, 5])
def test_the_step_is_finished_and_the_run_goes_on_as_if_nothing_had_been(toy, tmp_path, number, code, at):
    trainer(toy, tmp_path / "whole").fit()
    stopped = trainer(toy, tmp_path / "run", loader=Signalling(toy.loader(), number, at))
    with pytest.raises(TrainingStopped) as caught:
        stopped.fit()
    assert (caught.value.code, caught.value.signal) == (code, number)
    assert stopped.distiller.curriculum.steps == at
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert saved["distiller"]["curriculum"]["steps"] == at
    trainer(toy, tmp_path / "run").fit()
    assert (tmp_path / "run" / "student.safetensors").read_bytes() == (
        tmp_path / "whole" / "student.safetensors"
    ).read_bytes()
    assert str(outcome(tmp_path / "run")) == str(outcome(tmp_path / "whole"))


def test_an_evaluation_is_not_waited_for_and_is_done_anew(toy, tmp_path):
    begun = []

    def slow(network):
        begun.append(1)
        os.kill(os.getpid(), signal.SIGTERM)
        begun.append("waited")
        return evaluate(network)

    trainer(toy, tmp_path / "whole").fit()
    with pytest.raises(TrainingStopped):
        trainer(toy, tmp_path / "run", evaluate=slow).fit()
    assert begun == [1]
    trainer(toy, tmp_path / "run").fit()
    assert str(outcome(tmp_path / "run")) == str(outcome(tmp_path / "whole"))


def test_the_last_evaluation_is_not_left_out(toy, tmp_path):
    """Behind a stage of steps the curriculum is finished before the network is evaluated."""

    def slow(network):
        os.kill(os.getpid(), signal.SIGTERM)

    def made():
        stage = Stage("all", [Supervise("heatmap", losses.mse)], until=Steps(4))
        return Distiller(toy.student(), Curriculum(stage))

    whole = trainer(toy, tmp_path / "whole", distiller=made()).fit()
    with pytest.raises(TrainingStopped):
        trainer(toy, tmp_path / "run", distiller=made(), evaluate=slow).fit()
    again = trainer(toy, tmp_path / "run", distiller=made()).fit()
    assert again.metrics == whole.metrics != {}


def test_handlers_are_as_they_were_and_a_users_own_is_left_alone(toy, tmp_path):
    before = [signal.getsignal(number) for number, _ in STOPS]
    trainer(toy, tmp_path / "run").fit()
    assert [signal.getsignal(number) for number, _ in STOPS] == before
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        trainer(toy, tmp_path / "own", loader=Signalling(toy.loader(), signal.SIGTERM, 1)).fit()
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert heard == [signal.SIGTERM]
    assert (tmp_path / "own" / "student.safetensors").exists()


def test_in_another_thread_there_are_no_signals_to_hear(toy, tmp_path):
    failed = []

    def work():
        try:
            trainer(toy, tmp_path).fit()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed
    assert (tmp_path / "student.safetensors").exists()


def test_two_processes_do_not_train_in_one_folder(toy, tmp_path):
    meanwhile = []

    def look(network):
        if not meanwhile:
            meanwhile.append(1)
            with pytest.raises(RunFolderError, match="another process trains in"):
                trainer(toy, tmp_path).fit()
        return evaluate(network)

    trainer(toy, tmp_path, evaluate=look).fit()
    assert meanwhile


def test_what_a_killed_process_left_half_written_is_removed(toy, tmp_path):
    trainer(toy, tmp_path).fit()
    for place in (tmp_path / ".student.safetensors.abc", tmp_path / "checkpoints" / ".last.pt.abc"):
        place.write_bytes(b"half")
    trainer(toy, tmp_path).fit()
    assert not list(tmp_path.glob("**/.*.abc"))


SCRIPT = """
import os, signal, sys
from functools import partial
import torch
from torch import nn
from kdkit import Curriculum, Distiller, Epochs, Stage, Student, Supervise, Trainer, losses

samples = [{"image": torch.rand(4, 3, 8, 8), "heatmap": torch.rand(4, 5, 8, 8)} for _ in range(3)]

class Loader(list):
    def __iter__(self):
        for place, batch in enumerate(super().__iter__()):
            if place == 1:
                os.kill(os.getpid(), int(sys.argv[2]))
            yield batch

student = Student(nn.Conv2d(3, 5, 1), inputs="image", outputs="heatmap")
stage = Stage("all", [Supervise("heatmap", losses.mse)], until=Epochs(2))
Trainer(Distiller(student, Curriculum(stage)), Loader(samples), optimizer=partial(torch.optim.SGD, lr=0.1),
        out=sys.argv[1], cpu=True).fit()
"""


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_script_ends_with_the_documented_code(tmp_path, number, code):
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), str(int(number))],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert found.returncode == code
    assert f"{signal.Signals(number).name}: ends when the step is finished and saved" in found.stderr
    assert "Traceback" not in found.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())
    assert (tmp_path / "run" / "checkpoints" / "last.pt").exists()
