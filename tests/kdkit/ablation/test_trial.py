from functools import partial

import pytest
import torch

from kdkit import (
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EnsembleTeacher,
    Epochs,
    ModuleTeacher,
    Stage,
    Student,
    Supervise,
    Trainer,
    losses,
)
from kdkit.ablation import run_trial

BATCHES = [{"image": torch.rand(2, 3, 4, 4), "heatmap": torch.rand(2, 5, 4, 4)} for _ in range(3)]


def network() -> torch.nn.Module:
    return torch.nn.Conv2d(3, 5, 1)


def trainer(curriculum, folder, evaluate):
    distiller = Distiller(Student(network(), "image", "heatmap"), curriculum)
    adam = partial(torch.optim.Adam, lr=1e-3)
    return Trainer(distiller, BATCHES, optimizer=adam, evaluate=evaluate, out=folder, cpu=True, progress=False)


@pytest.fixture
def curriculum():
    first, second = (ModuleTeacher(name, network(), "image", "heatmap") for name in ("first", "second"))
    both = EnsembleTeacher("both", [first, second])
    plain = Supervise("heatmap", losses.mse)
    return Curriculum(
        Stage("plain", [plain], until=Epochs(1)),
        Stage("one", [plain, Distill(first, "heatmap", losses.mse)], until=Epochs(2)),
        Stage("both", [Distill(both, "heatmap", losses.mse)], until=Epochs(1)),
    )


def test_what_it_cost(curriculum, tmp_path):
    trial = run_trial(trainer(curriculum, tmp_path, lambda network: {"AP": 0.5}), 2, notes={"width": 16})
    assert (trial.steps, trial.samples) == (12, 24)
    # Of 4 epochs of 3 steps of 2 samples, the first teacher is run in 3, the second in 1.
    assert trial.teacher_passes == {"first": 18, "second": 6}
    assert [steps for steps, _ in trial.curve] == [3, 6, 9, 12]
    assert trial.notes == {"width": 16}


def test_the_last_evaluation_counts_and_not_the_best(curriculum, tmp_path):
    values = iter([0.2, 0.9, 0.4, 0.3])
    trial = run_trial(trainer(curriculum, tmp_path, lambda network: {"AP": next(values)}), 2)
    assert trial.metrics == {"AP": 0.3}


def test_a_finished_run_gives_the_same_again(curriculum, tmp_path):
    def evaluate(network):
        return {"AP": float(network.weight.detach().mean())}

    first = run_trial(trainer(curriculum, tmp_path, evaluate), 2)
    assert run_trial(trainer(Curriculum(*curriculum), tmp_path, evaluate), 2) == first


def test_without_a_metric_there_is_nothing_to_compare(curriculum, tmp_path):
    with pytest.raises(ConfigurationError, match="evaluate="):
        run_trial(trainer(curriculum, tmp_path, None), 2)
