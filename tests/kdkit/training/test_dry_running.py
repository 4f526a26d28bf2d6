"""A dry run sees what a run would, and leaves no trace."""

import copy
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from kdkit import (
    Adaptor,
    CheckpointError,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EMATeacher,
    Epochs,
    Linear,
    Plateau,
    RunFolderError,
    Stage,
    Student,
    Supervise,
    Trainer,
    Uncertainty,
    dry_run,
    losses,
)
from kdkit.training.dry_running import _copies
from kdkit.training.run_state import RunState


def evaluate(network) -> dict[str, float]:
    return {"val/error": float(network(torch.ones(1, 3, 8, 6)).detach().square().mean())}


OPTIONS = {"optimizer": partial(torch.optim.Adam, lr=1e-2), "mode": "min", "cpu": True, "evaluate": evaluate}


def states(distiller: Distiller) -> list:
    modules = [distiller.student, *(teacher.module for teacher in distiller.teachers)]
    kept = [copy.deepcopy(module.state_dict()) for module in modules]
    return [*kept, copy.deepcopy(distiller.curriculum.state_dict()), torch.get_rng_state()]


def assert_same(one, other) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        assert_same(list(one.values()), list(other.values()))
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def everything(toy) -> Distiller:
    """Balances with weights, a teacher that follows, an adaptor, frozen parts, a stage that waits for a metric."""
    student = Student(toy.network(width=4, seed=4), adaptors={"more": Adaptor.conv("heatmap", 5, 5)})
    past, balance = EMATeacher("past", student, decay=0.5), Uncertainty()
    first = [
        Supervise("heatmap", losses.mse, balance=balance),
        Distill(toy.primary(), "heatmap", losses.mse, weight=Linear(0, 1), balance=balance),
    ]
    second = [Distill(toy.senior(), "more", losses.mse, target="heatmap"), Distill(past, "heatmap", losses.mse)]
    return Distiller(
        student,
        Curriculum(
            Stage("first", first, until=Epochs(5) | Plateau("val/error", 2, mode="min"), warmup_steps=3),
            Stage("second", second, until=Epochs(3), optimizer="fresh", freeze=["0"], learning_rate=Linear(1, 0)),
        ),
    )


@pytest.mark.parametrize("ready_made", [False, True])
def test_nothing_is_changed(toy, tmp_path, ready_made):
    distiller = everything(toy)
    optimizer = torch.optim.Adam(distiller.student.parameters()) if ready_made else OPTIONS["optimizer"]
    before = states(distiller)
    report = dry_run(distiller, toy.loader(), out=tmp_path / "run", **{**OPTIONS, "optimizer": optimizer})
    assert_same(states(distiller), before)
    assert not ready_made or not optimizer.state
    assert list(tmp_path.iterdir()) == []
    assert [trial.stage for trial in report.stages] == ["first", "second"]
    assert report.problems == ()


def test_a_teacher_that_follows_follows_the_copy_and_the_others_are_not_copied(toy):
    distiller = everything(toy)
    copied, _ = _copies(distiller, OPTIONS["optimizer"])
    (primary, senior, past), (first, second, third) = copied.teachers, distiller.teachers
    assert (primary, senior) == (first, second)
    assert past is not third
    with torch.no_grad():
        next(copied.student.module.parameters()).zero_()
    past.on_step_end()
    assert not torch.equal(past.module[0].weight, third.module[0].weight)


def test_a_checkpoint_that_does_not_come_back_is_noticed(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(RunState, "restore", lambda self, state: None)
    with pytest.raises(CheckpointError, match=r"does not come back as it was: .*network"):
        dry_run(toy.distiller(), toy.loader(), out=tmp_path / "run", **OPTIONS)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_run_after_it_is_the_same_to_the_bit(toy, tmp_path, shuffle):
    results = []
    for name in ("plain", "rehearsed"):
        torch.manual_seed(3)
        plain = DataLoader(toy.pictures(), 4, shuffle=True, generator=torch.Generator().manual_seed(5))
        loader, distiller = plain if shuffle else toy.loader(), everything(toy)
        options = {**OPTIONS, "ema": 0.9, "out": tmp_path / name}
        torch.manual_seed(9)
        if name == "rehearsed":
            dry_run(distiller, loader, **options)
        results.append(Trainer(distiller, loader, progress=False, **options).fit().student.read_bytes())
    assert results[0] == results[1]


def test_it_says_what_it_saw(toy, tmp_path):
    report = dry_run(toy.distiller(), toy.loader(), out=tmp_path / "run", samples=2, **OPTIONS)
    assert (report.samples, report.batch) == (2, 4)
    assert report.stages[1].losses.keys() == {
        "loss/total",
        "loss/supervise/heatmap",
        "loss/distill/senior/heatmap",
    }
    assert report.metrics.keys() == {"val/error"}
    assert report.checkpoint > 0
    # 4 epochs of 3 batches
    steps = 6 * sum(trial.seconds for trial in report.stages) * 2 + 12 * report.reading
    assert report.hours == pytest.approx(steps / 3600)
    text = str(report)
    for part in ("image [3, 8, 6]", "stage senior", "val/error", "the same to the bit", "needed", "minutes"):
        assert part in text


def test_a_run_of_no_known_length_has_no_hours(toy, tmp_path):
    stage = Stage("one", [Supervise("heatmap", losses.mse)], until=Plateau("val/error", 2, mode="min"))
    report = dry_run(Distiller(toy.student(), Curriculum(stage)), toy.loader(), out=tmp_path / "run", **OPTIONS)
    assert report.hours is None


def broken_teacher(toy, options):
    teacher = toy.primary()
    with torch.no_grad():
        teacher.module[4].weight[0, 0] = float("nan")
    stage = Stage("one", [Distill(teacher, "heatmap", losses.mse)], until=Epochs(1))
    return Distiller(toy.student(), Curriculum(stage)), toy.loader(), options


def infinite_loss(toy, options):
    class Endless(nn.Module):
        def forward(self, image):
            return image[:, :1].expand(-1, 5, -1, -1) * float("inf")

    network = nn.Sequential(toy.network(seed=1), Endless())
    return Distiller(Student(network), toy.curriculum()), toy.loader(), options


def wrong_metric(toy, options):
    return toy.distiller(), toy.loader(), {**options, "monitor": "val/AP"}


def failing_evaluation(toy, options):
    return toy.distiller(), toy.loader(), {**options, "evaluate": lambda network: 3.0}


def too_large(toy, options):
    class Large(nn.Module):
        def forward(self, image):
            if self.training:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return image[:, :1].expand(-1, 5, -1, -1)

    network = nn.Sequential(Large(), toy.network(channels=5))
    return Distiller(Student(network), toy.curriculum()), toy.loader(), options


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (broken_teacher, r"teacher 'primary' has weights that are NaN or infinite, in '4\.weight'"),
        (infinite_loss, "the loss of 'supervise/heatmap' is (inf|nan)"),
        (wrong_metric, "the monitored metric 'val/AP'"),
        (failing_evaluation, "evaluate returned a float"),
        (too_large, "lower the batch size"),
    ],
)
def test_what_would_stop_a_run_stops_it_and_leaves_nothing(toy, tmp_path, mistake, told):
    distiller, loader, options = mistake(toy, {**OPTIONS, "out": tmp_path / "run"})
    with pytest.raises(ConfigurationError, match=told):
        dry_run(distiller, loader, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_a_stage_waits_for_in_vain_is_a_problem(toy, tmp_path):
    distiller = toy.distiller()
    stage = Stage("only", distiller.stage.objectives, until=Plateau("val/typo", 3) | Epochs(3))
    report = dry_run(
        Distiller(distiller.student, Curriculum(stage)), toy.loader(), out=tmp_path / "run", **OPTIONS
    )
    assert report.problems == (
        "a stage waits for val/typo, which the evaluation does not give (it gives val/error): name one of these",
    )


def test_each_step_prepares_what_was_read(toy, tmp_path):
    seen = []

    def prepare(batch):
        seen.append(float(batch["image"].mean()))
        batch["image"].mul_(2)
        return batch

    dry_run(toy.distiller(), toy.loader(), out=tmp_path / "run", prepare=prepare, **OPTIONS)
    assert len(seen) > 2
    assert len(set(seen)) == 1


def test_a_folder_of_another_run_is_refused(toy, tmp_path):
    Trainer(toy.distiller(), toy.loader(), out=tmp_path, progress=False, **OPTIONS).fit()
    dry_run(toy.distiller(), toy.loader(), out=tmp_path, **OPTIONS)
    with pytest.raises(RunFolderError, match="holds another run"):
        dry_run(toy.distiller(), toy.loader(), out=tmp_path, ema=0.5, **OPTIONS)


def test_a_disk_that_is_too_small_is_a_problem(toy, tmp_path, monkeypatch):
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr("kdkit.training.dry_running.shutil.disk_usage", lambda path: usage)
    report = dry_run(toy.distiller(), toy.loader(), out=tmp_path / "a" / "b", **OPTIONS)
    with pytest.raises(ConfigurationError, match=r"needs .* kB, and 1\.0 kB are free: make room"):
        report.require_sound()
