"""Stages that end by the length of the whole run."""

import json

import pytest

from kdkit import (
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    Linear,
    Plateau,
    RunEpochs,
    RunSteps,
    Stage,
    StageProgress,
    Steps,
    Supervise,
    Teacher,
    losses,
)
from kdkit.condition import Length

OVER_STAGE, OVER_RUN = Linear(0.0, 1.0), Linear(0.0, 1.0, over="run")


def curriculum(*conditions):
    objectives = [Supervise("x", losses.mse, weight=Linear(1.0, 2.0, over="stage"))]
    made = Curriculum(*(Stage(str(place), objectives, until) for place, until in enumerate(conditions)))
    made.steps_per_epoch = 2
    return made


def walk(made, metrics=()):
    """Go to the end, two steps an epoch; return stage and progress of stage and run before every step."""
    seen, metrics = [], list(metrics)
    while not made.finished:
        for _ in range(2):
            seen.append((made.index, made.value(OVER_STAGE), made.value(OVER_RUN)))
            made.advance()
            if made.finished:
                return seen
        made.end_epoch({"AP": metrics.pop(0) if metrics else 0.0})
    return seen


def test_they_are_met_by_what_the_run_has_lasted():
    progress = StageProgress(steps=2, epochs=1, run_steps=10, run_epochs=5)
    assert RunEpochs(5).met(progress)
    assert not RunEpochs(6).met(progress)
    assert RunSteps(10).met(progress)
    assert not RunSteps(11).met(progress)
    assert (RunEpochs(8).length(3), RunSteps(8).length(9)) == (Length(5, "epochs"), Length(0, "steps"))
    assert (RunEpochs(6) | Epochs(4)).length(3) == Length(3, "epochs")
    assert (RunEpochs(6) & Epochs(4)).length(3) == Length(4, "epochs")


@pytest.mark.parametrize("last", [RunEpochs(6), RunSteps(12)])
@pytest.mark.parametrize(("metrics", "first"), [((1, 2, 3, 4), 4), ((2, 1), 2), ((1, 2, 1), 3)])
def test_the_run_is_as_long_whenever_the_first_stage_ends(last, metrics, first):
    """And what is over the run follows the time that has passed, without a jump."""
    limit = Epochs(4) if isinstance(last, RunEpochs) else Steps(8)
    seen = walk(curriculum(limit | Plateau("AP", 1), last), metrics)
    assert [index for index, _, _ in seen] == [0] * 2 * first + [1] * 2 * (6 - first)
    assert [run for _, _, run in seen] == [pytest.approx(step / 12) for step in range(12)]
    second = [stage for index, stage, _ in seen if index == 1]
    assert second == [pytest.approx(step / (12 - 2 * first)) for step in range(12 - 2 * first)]


def test_a_stage_behind_one_counts_on_from_it():
    seen = walk(curriculum(Epochs(3) | Plateau("AP", 1), RunEpochs(4), Epochs(1)), (1, 1))
    assert [index for index, _, _ in seen] == [0] * 4 + [1] * 4 + [2] * 2
    assert [run for _, _, run in seen] == [pytest.approx(step / 10) for step in range(10)]


def test_lengths_are_those_of_a_run_in_which_nothing_ends_early():
    made = curriculum(Epochs(3) | Plateau("AP", 2), RunEpochs(8) | Plateau("AP", 2), RunEpochs(10))
    assert made.lengths == (Length(3, "epochs"), Length(5, "epochs"), Length(2, "epochs"))
    assert curriculum(Epochs(3), RunSteps(8)).lengths is None


def test_a_stage_that_nothing_is_left_for_is_refused_or_else_passed_over():
    with pytest.raises(
        ConfigurationError, match=r"stage '1' ends by the run's length, RunEpochs\(count=4\).*4 epochs"
    ):
        curriculum(Epochs(4) | Plateau("AP", 1), RunEpochs(4))
    # How many epochs the steps take nobody knows yet.
    made = curriculum(Steps(7), RunEpochs(3), Steps(1))
    indices = []
    while not made.finished:
        indices.append(made.index)
        made.advance()
        if made.steps % 2 == 0 and not made.finished:
            made.end_epoch()
    assert indices == [0] * 7 + [2]


def test_teachers_of_a_stage_that_is_passed_over_are_not_fetched(toy):
    fetched = []

    class Watched(Teacher):
        name, reads, outputs = "watched", ("image",), ("heatmap",)

        def targets(self, batch):
            return {"heatmap": batch["heatmap"]}

        def on_stage_start(self):
            fetched.append(self.name)

    taught = Stage("taught", [Distill(Watched(), "heatmap", losses.mse)], RunSteps(2))
    plain = Stage("plain", [Supervise("heatmap", losses.mse)], Epochs(1))
    distiller = Distiller(toy.student(), Curriculum(plain, taught))
    for _ in range(3):
        assert distiller.advance() is None
    assert distiller.end_epoch() is None
    assert distiller.curriculum.finished
    assert fetched == []


def test_the_cursor_keeps_the_runs_length():
    made = curriculum(Epochs(4) | Plateau("AP", 1), RunEpochs(6))
    for metric in (2, 1, 1):
        made.advance()
        made.end_epoch({"AP": metric})
    made.advance()
    again = curriculum(Epochs(4) | Plateau("AP", 1), RunEpochs(6))
    again.load_state_dict(json.loads(json.dumps(made.state_dict())))
    assert (again.index, again.steps, again.epochs) == (1, 4, 3)
    assert again.progress == made.progress
    assert again.moment == made.moment


@pytest.mark.parametrize("make", [lambda: RunEpochs(0), lambda: RunSteps(2.5)])
def test_bad_counts_are_refused(make):
    with pytest.raises(ConfigurationError, match=r"Run(Epochs|Steps) must be a whole number"):
        make()
