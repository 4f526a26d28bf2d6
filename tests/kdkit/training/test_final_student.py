from functools import partial

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from kdkit import Trainer


def fit(toy, out, capsys, damage):
    scores = iter([3.0, 1.0, 2.0, 0.5])
    run = Trainer(
        toy.distiller(),
        toy.loader(),
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        evaluate=lambda network: {"score": next(scores)},
        out=out,
        cpu=True,
    )
    end = run._progress.end

    def damaging(line, monitor):
        end(line, monitor)
        if line["epoch"] == 4:
            damage(run.folder.checkpoints.best)

    run._progress.end = damaging
    result = run.fit()
    with safe_open(result.student, "pt") as file:
        selected = file.metadata()["selected"]
    assert result.selected == selected
    return run, load_file(result.student), selected, capsys.readouterr().err


def test_the_best_is_exported(toy, tmp_path, capsys):
    run, student, selected, told = fit(toy, tmp_path, capsys, lambda path: None)
    best = torch.load(run.folder.checkpoints.best, weights_only=True)["network"]
    assert selected == "best score, of epoch 1, stage primary"
    assert "never learned from the later stages, which end with 'senior'" in told
    assert all(torch.equal(student[name], value) for name, value in best.items())


@pytest.mark.parametrize("left", [0, 100, -1])
def test_a_damaged_best_costs_the_best_and_not_the_run(toy, tmp_path, capsys, left):
    run, student, selected, told = fit(
        toy, tmp_path, capsys, lambda path: path.write_bytes(path.read_bytes()[:left])
    )
    last = torch.load(run.folder.checkpoints.last, weights_only=True)["network"]
    assert all(torch.equal(student[name], value) for name, value in last.items())
    assert selected == "last, the best checkpoint was damaged"
    assert "kept as 'best.damaged', and the last student is exported" in told
    # Started again, the finished run says the same.
    again = Trainer(
        toy.distiller(),
        toy.loader(),
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        evaluate=lambda network: {"score": 0.0},
        out=tmp_path,
        cpu=True,
    ).fit()
    with safe_open(again.student, "pt") as file:
        assert file.metadata()["selected"] == selected
