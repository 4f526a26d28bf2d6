"""What is learned by a loss of probabilities must be some: said at a stage's first step, not at the end."""

from functools import partial

import pytest
import torch

from kdkit import (
    BatchError,
    Binarize,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    Linear,
    Stage,
    Steps,
    Student,
    Supervise,
    Teacher,
    Truncate,
    losses,
)

BATCH = {"image": torch.randn(2, 3, 4, 4), "heatmap": torch.rand(2, 5, 4, 4)}


def student(*last: torch.nn.Module) -> Student:
    torch.manual_seed(0)
    return Student(torch.nn.Sequential(torch.nn.Conv2d(3, 5, 1), *last), inputs="image", outputs="heatmap")


def stage(name, loss, **options):
    return Stage(name, [Supervise("heatmap", loss, **options)], until=Epochs(1))


@pytest.mark.parametrize("loss", [losses.bce, partial(losses.bce)])
def test_values_that_are_no_probabilities_are_refused(loss):
    distiller = Distiller(student(), Curriculum(stage("discs", loss)))
    words = r"'supervise/heatmap': bce takes probabilities.*'heatmap' goes from -\d.* to \d.*sigmoid, or .*logits"
    with pytest.raises(BatchError, match=words):
        distiller(BATCH)
    with pytest.raises(BatchError, match=words):
        distiller.check(BATCH)


def test_a_later_stage_is_looked_at_when_it_begins():
    distiller = Distiller(student(), Curriculum(stage("squares", losses.mse), stage("discs", losses.bce)))
    distiller(BATCH).total.backward()
    distiller.end_epoch()
    with pytest.raises(BatchError, match="takes probabilities"):
        distiller(BATCH)


def test_probabilities_and_other_losses_pass():
    for last, loss in (((torch.nn.Sigmoid(),), losses.bce), ((), losses.bce_with_logits), ((), losses.mse)):
        distiller = Distiller(student(*last), Curriculum(stage("stage", loss)))
        distiller.check(BATCH)
        assert torch.isfinite(distiller(BATCH).total)


def test_an_objective_without_weight_is_left_alone():
    quiet = [Supervise("heatmap", losses.mse), Supervise("heatmap", losses.bce, weight=0.0, name="quiet")]
    distiller = Distiller(student(), Curriculum(Stage("stage", quiet, until=Epochs(1))))
    distiller.check(BATCH)
    assert list(distiller(BATCH).parts) == ["supervise/heatmap"]


def test_a_weight_that_rises_from_0_is_looked_at_when_it_does():
    rising = [
        Supervise("heatmap", losses.mse),
        Supervise("heatmap", losses.bce, weight=Linear(0.0, 1.0), name="bce"),
    ]
    distiller = Distiller(student(), Curriculum(Stage("stage", rising, until=Steps(4))))
    assert list(distiller(BATCH).parts) == ["supervise/heatmap"]
    distiller.advance()
    with pytest.raises(BatchError, match="objective 'bce': bce takes probabilities"):
        distiller(BATCH)


class Below(Teacher):
    """Gives what a network of squared error gives: a little below 0 where nothing is."""

    name, reads, outputs = "below", ("heatmap",), ("heatmap",)

    def targets(self, batch):
        return {"heatmap": batch["heatmap"] * 1.1 - 0.03}


@pytest.mark.parametrize(("last", "loss"), [((torch.nn.Sigmoid(),), losses.bce), ((), losses.bce_with_logits)])
def test_targets_that_are_no_probabilities_are_refused(last, loss):
    def distiller(**options):
        learned = Distill(Below(), "heatmap", loss, **options)
        return Distiller(student(*last), Curriculum(Stage("stage", [learned], until=Epochs(1))))

    words = (
        r"'distill/below/heatmap': .*takes targets in \[0, 1\], but the target 'heatmap' goes from -0.0.*Binarize"
    )
    with pytest.raises(BatchError, match=words):
        distiller()(BATCH)
    with pytest.raises(BatchError, match=words):
        distiller(region=lambda batch: torch.ones(2, 5)).check(BATCH)
    for transform in (Binarize(0.5), Truncate(0.0)):  # a peak may overshoot 1
        distiller(transform=transform)(BATCH)


def test_what_a_region_leaves_out_of_the_data_may_be_anything():
    ignored = {**BATCH, "heatmap": torch.full((2, 5, 4, 4), 255.0)}
    ignored["valid"] = torch.zeros(2, 5, 4, 4)
    last = torch.nn.Sigmoid()
    Distiller(student(last), Curriculum(stage("one", losses.bce, region="valid")))(ignored)
    with pytest.raises(BatchError, match="takes targets in"):
        Distiller(student(last), Curriculum(stage("one", losses.bce)))(ignored)


def test_a_student_is_looked_at_once_a_stage(monkeypatch):
    """Since to look waits for the device."""
    seen = []
    monkeypatch.setattr("kdkit.objective.require_probabilities", lambda *given: seen.append(given))
    distiller = Distiller(
        student(torch.nn.Sigmoid()), Curriculum(stage("one", losses.bce), stage("two", losses.bce))
    )
    for _ in range(3):
        distiller(BATCH)
        distiller.advance()
    assert len(seen) == 1
    distiller.end_epoch()
    distiller(BATCH)
    assert len(seen) == 2
