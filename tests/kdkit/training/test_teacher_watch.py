"""A teacher that is another one than when the run began is noticed, and nothing else is."""

from functools import partial

import pytest
import torch
from torch import nn

from kdkit import (
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EMATeacher,
    EnsembleTeacher,
    Epochs,
    ModuleTeacher,
    Stage,
    Supervise,
    Teacher,
    Trainer,
    losses,
)
from kdkit.training.checkpoint import load_checkpoint, save_checkpoint
from kdkit.training.teacher_watch import _distance

from .interruption import Fragile, Interrupted


def trainer(toy, out, distiller=None, loader=None, **options) -> Trainer:
    torch.manual_seed(7)
    return Trainer(
        distiller or toy.distiller(),
        loader or toy.loader(),
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        out=out,
        **{"progress": False, "cpu": True, **options},
    )


def spoil(teacher: ModuleTeacher, share: float = 1.0) -> None:
    with torch.no_grad():
        for value in teacher.module.parameters():
            size = float(value.std(correction=0)) + 0.01
            value.mul_(1 - share).add_(torch.randn_like(value), alpha=share * size)


class Spoiling(nn.Module):
    """Evaluates, and changes a teacher at the first time."""

    def __init__(self, teacher: Teacher, share: float = 1.0) -> None:
        super().__init__()
        self.teacher, self.share, self.calls = teacher, share, 0

    def forward(self, network: nn.Module) -> dict[str, float]:
        self.calls += 1
        if self.calls == 1:
            spoil(self.teacher, self.share)
        return {"score": 0.0}


def test_one_that_changed_before_its_stage_is_noticed_at_the_switch(toy, tmp_path):
    distiller = toy.distiller()
    senior = distiller.teachers[1]
    with pytest.raises(
        ConfigurationError, match=r"teacher 'senior' gives another 'heatmap'.*start of stage 'senior'"
    ):
        trainer(toy, tmp_path / "run", distiller, evaluate=Spoiling(senior)).fit()


def test_one_that_changed_while_the_run_was_stopped_is_noticed(toy, tmp_path, monkeypatch):
    """Its weights' hash would tell it already; this is of what a hash does not see, such as the network's code."""
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "run", loader=Fragile(toy.loader(), 4)).fit()
    again = trainer(toy, tmp_path / "run")
    spoil(again.distiller.teachers[0])
    with pytest.raises(ConfigurationError, match=r"teacher 'primary'.*after the run was taken up again.*%"):
        again.fit()


@pytest.mark.parametrize("member", [0, 1])
def test_a_teacher_inside_another_is_watched(toy, tmp_path, member):
    pair = [ModuleTeacher(name, toy.network(seed=seed), "image", "heatmap") for seed, name in enumerate("ab")]
    both = EnsembleTeacher("both", pair)
    stages = [Stage(name, [Distill(both, "heatmap", losses.mse)], until=Epochs(1)) for name in ("one", "two")]
    distiller = Distiller(toy.student(), Curriculum(*stages))
    with pytest.raises(ConfigurationError, match="teacher 'both'"):
        trainer(toy, tmp_path / "run", distiller, evaluate=Spoiling(pair[member])).fit()


def test_rounding_is_no_change(toy, tmp_path):
    distiller = toy.distiller()
    trainer(toy, tmp_path / "run", distiller, evaluate=Spoiling(distiller.teachers[1], 1e-3)).fit()


def test_one_that_follows_the_student_may_change(toy, tmp_path):
    student = toy.student()
    past = EMATeacher("past", student, decay=0.5)
    objectives = [Supervise("heatmap", losses.mse), Distill(past, "heatmap", losses.mse)]
    stages = [Stage(name, objectives, until=Epochs(2)) for name in ("one", "two")]
    run = trainer(toy, tmp_path / "run", Distiller(student, Curriculum(*stages)))
    run.fit()
    assert load_checkpoint(run.folder.checkpoints.last)["errors"]["teachers"]["targets"] == {}


def test_one_that_draws_is_left_out(toy, tmp_path):
    class Drawing(ModuleTeacher):
        def targets(self, batch):
            found = super().targets(batch)
            return {name: value + torch.randn_like(value) for name, value in found.items()}

    def run(loader=None) -> Trainer:
        teachers = [kind(name, toy.network(seed=3), "image", "heatmap") for name, kind in kinds.items()]
        objectives = [Distill(one, "heatmap", losses.mse) for one in teachers]
        stages = [Stage(name, objectives, until=Epochs(2)) for name in ("one", "two")]
        return trainer(toy, tmp_path, Distiller(toy.student(), Curriculum(*stages)), loader)

    kinds = {"drawing": Drawing, "still": ModuleTeacher}
    with pytest.raises(Interrupted):
        run(Fragile(toy.loader(), 7)).fit()
    again = run()
    again.fit()
    targets = load_checkpoint(again.folder.checkpoints.last)["errors"]["teachers"]["targets"]
    assert list(targets) == ["still"]


def test_fields_that_are_not_of_samples_are_given_whole(toy, tmp_path):
    class Weighted(ModuleTeacher):
        def targets(self, batch):
            assert batch["weights"].shape == (17,)
            return super().targets(batch)

    teacher = Weighted("weighted", toy.network(seed=3), "image", "heatmap")
    stages = [Stage(name, [Distill(teacher, "heatmap", losses.mse)], until=Epochs(1)) for name in ("one", "two")]
    batches = [{**batch, "weights": torch.ones(17)} for batch in toy.loader()]
    trainer(toy, tmp_path, Distiller(toy.student(), Curriculum(*stages)), batches).fit()


def test_values_beside_infinite_ones_count():
    inf = torch.inf
    before = torch.tensor([-inf, 1.0, 2.0])
    assert _distance(before, before.clone()) == 0
    assert _distance(before, torch.tensor([-inf, 1.0, 4.0])) == pytest.approx(2 / 5**0.5)
    assert _distance(before, torch.tensor([inf, 1.0, 2.0])) == inf
    assert _distance(before, torch.tensor([0.0, 1.0, 2.0])) == inf
    assert _distance(before, torch.tensor([torch.nan, 1.0, 2.0])) == inf


def test_of_a_teacher_without_a_fingerprint_it_is_only_said(toy, tmp_path, capsys):
    class Unknown(ModuleTeacher):
        def fingerprint(self):
            return None

    changing = Unknown("changing", toy.network(seed=3), "image", "heatmap")
    stages = [Stage(name, [Distill(changing, "heatmap", losses.mse)], until=Epochs(1)) for name in ("one", "two")]
    distiller = Distiller(toy.student(), Curriculum(*stages))
    trainer(toy, tmp_path / "run", distiller, evaluate=Spoiling(changing), progress=True).fit()
    assert "warning: teacher 'changing' gives another 'heatmap'" in capsys.readouterr().err


def test_a_checkpoint_of_before_is_gone_on_with(toy, tmp_path):
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "run", loader=Fragile(toy.loader(), 4)).fit()
    again = trainer(toy, tmp_path / "run")
    path = again.folder.checkpoints.last
    state = load_checkpoint(path)
    del state["errors"], state["format"]
    save_checkpoint(state, path)
    again.fit()
    assert load_checkpoint(path)["errors"]["teachers"]["targets"].keys() == {"primary", "senior"}
