import subprocess
import sys

import pytest
from torch import nn

from kdkit import (
    ConfigurationError,
    Curriculum,
    Distill,
    Epochs,
    Linear,
    ModuleTeacher,
    Plateau,
    RunEpochs,
    RunSteps,
    Stage,
    Steps,
    Supervise,
    losses,
)
from kdkit.alternate import Alternate
from kdkit.ramp import Ramp
from kdkit.timeline import weights_over_run
from kdkit.timeline_picture import COLOURS, TRUTH, draw_timeline


def teacher(name):
    return ModuleTeacher(name, nn.Conv2d(3, 17, 1), "image", "heatmap")


def stage(name, until, *weights):
    """A stage of ground truth and teachers a, b, ... in the order of the weights."""
    truth, *taught = weights
    objectives = [Supervise("heatmap", losses.mse, weight=truth)]
    teachers = zip("abcdefg", taught, strict=False)
    objectives += [Distill(teacher(one), "heatmap", losses.mse, weight=weight) for one, weight in teachers]
    return Stage(name, objectives, until)


RAMP, WHOLE = Ramp(0.0, 2.0, 0.25, 0.75, "cosine"), Linear(1.0, 0.0, over="run")
EACH_EPOCH, EACH_STEP = Alternate((1.0, 0.0, 0.5), unit="epochs"), Alternate((0.0, 1.0), every=2)
SCHEDULES = [WHOLE, RAMP, EACH_EPOCH, EACH_STEP, 0.5 * EACH_STEP * RAMP]


@pytest.mark.parametrize("until", [Epochs(5), RunEpochs(8)])
def test_the_timeline_is_what_the_curriculum_gives_step_by_step(until):
    curriculum = Curriculum(stage("one", Epochs(3), *SCHEDULES), stage("two", until, *SCHEDULES))
    curriculum.steps_per_epoch = 4
    timeline = weights_over_run(curriculum, points_per_stage=1001)
    while not curriculum.finished:
        at = curriculum.steps / 4
        span = timeline.stages[curriculum.index]
        assert weights_over_run(curriculum).now == pytest.approx(at)
        for objective in curriculum.stage.objectives:
            line = span.lines[objective.name]
            assert line.lowest == line.highest == line.weights
            # At a jump the later of the two values holds.
            near = [value for place, value in zip(line.positions, line.weights, strict=True) if place <= at + 1e-9]
            assert near[-1] == pytest.approx(curriculum.value(objective.schedule), abs=5e-3)
        curriculum.advance()
        if curriculum.steps % 4 == 0:
            curriculum.end_epoch()
    assert timeline.unit == "epochs"
    assert [(span.start, span.end) for span in timeline.stages] == [(0, 3), (3, 8)]
    assert weights_over_run(curriculum).now == 8


def test_positions_never_fall_and_fill_the_stage():
    curriculum = Curriculum(stage("one", Steps(41), *SCHEDULES), stage("two", Steps(2000), *SCHEDULES))
    timeline = weights_over_run(curriculum)
    assert timeline.unit == "steps"
    for span in timeline.stages:
        for line in span.lines.values():
            assert list(line.positions) == sorted(line.positions)
            assert (line.positions[0], line.positions[-1]) == (span.start, span.end)


def test_what_alternates_too_often_is_given_by_its_bounds():
    curriculum = Curriculum(stage("one", Epochs(5), 1.0, EACH_STEP, EACH_STEP * Linear(1, 3)))
    for per_epoch in (None, 1000):
        lines = weights_over_run(curriculum, steps_per_epoch=per_epoch).stages[0].lines
        plain, growing = lines["distill/a/heatmap"], lines["distill/b/heatmap"]
        assert plain.alternates
        assert not lines["supervise/heatmap"].alternates
        assert (set(plain.lowest), set(plain.weights), set(plain.highest)) == ({0.0}, {0.5}, {1.0})
        assert (growing.highest[0], growing.highest[-1], set(growing.lowest)) == (1.0, 3.0, {0.0})
    seen = weights_over_run(curriculum, steps_per_epoch=4).stages[0].lines["distill/a/heatmap"]
    assert seen.lowest == seen.highest
    assert set(seen.weights) == {0.0, 1.0}


def test_a_stage_of_unknown_length_is_nominal():
    curriculum = Curriculum(
        stage("known", Epochs(6), 1.0), stage("open", Plateau("AP", 3), 1.0), stage("steps", Steps(80), 1.0)
    )
    spans = weights_over_run(curriculum).stages
    assert [span.nominal for span in spans] == [False, True, True]
    assert [span.end - span.start for span in spans] == [6, 6, 6]
    assert spans[1].until == "AP not better for 3 evaluations"
    spans = weights_over_run(curriculum, steps_per_epoch=8).stages
    assert [(span.end - span.start, span.nominal) for span in spans] == [(6, False), (8, True), (10, False)]
    alone = weights_over_run(Curriculum(stage("open", Plateau("AP", 3), 1.0))).stages[0]
    assert (alone.start, alone.end, alone.nominal) == (0, 1, True)


def test_a_stage_that_ends_by_the_runs_length_has_what_is_left():
    first = Epochs(3) | Plateau("AP", 2)
    spans = weights_over_run(Curriculum(stage("one", first, 1.0), stage("two", RunEpochs(8), 1.0))).stages
    assert [(span.start, span.end, span.nominal) for span in spans] == [(0, 3, False), (3, 8, False)]
    mixed = Curriculum(stage("one", Epochs(3), 1.0), stage("two", RunSteps(80), 1.0))
    assert [span.nominal for span in weights_over_run(mixed).stages] == [False, True]
    spans = weights_over_run(mixed, steps_per_epoch=8).stages
    assert [(span.start, span.end, span.nominal) for span in spans] == [(0, 3, False), (3, 10, False)]


def test_objectives_that_are_off_are_left_out_and_others_keep_their_order():
    timeline = weights_over_run(Curriculum(stage("one", Epochs(1), 1.0, 0.0, 1.0), stage("two", Epochs(1), 0, 1)))
    assert timeline.objectives == ("supervise/heatmap", "distill/b/heatmap", "distill/a/heatmap")


@pytest.mark.parametrize("options", [{"points_per_stage": 1}, {"steps_per_epoch": 0}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ConfigurationError, match="at least"):
        weights_over_run(Curriculum(stage("one", Epochs(1), 1.0)), **options)


@pytest.fixture
def curriculum():
    return Curriculum(
        stage("one", Epochs(10), 1.0, RAMP, EACH_STEP),
        stage("a name that is much longer than its stage", Epochs(1), 0.5, EACH_EPOCH),
        stage("open", Plateau("val/AP", 3), 0.001, 0.0, 1.0),
    )


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_a_picture_is_written_and_the_cursor_stays(curriculum, tmp_path, suffix, begin):
    curriculum.advance()
    before = curriculum.state_dict()
    draw_timeline(curriculum, tmp_path / "new" / f"timeline{suffix}")
    assert (tmp_path / "new" / f"timeline{suffix}").read_bytes().startswith(begin)
    assert curriculum.state_dict() == before


def test_rows_are_named_and_a_teacher_has_one_colour(curriculum):
    (ax,) = draw_timeline(curriculum).axes
    colours = {label.get_text(): label.get_color() for label in ax.get_yticklabels()}
    assert colours == {
        "supervise/heatmap": TRUTH,
        "distill/a/heatmap": COLOURS[0],
        "distill/b/heatmap": COLOURS[1],
    }
    drawn = [line.get_color() for line in ax.lines if line.get_linewidth() == 2 and line.get_color() != "white"]
    assert sorted(drawn) == sorted([TRUTH] * 3 + [COLOURS[0]] * 2 + [COLOURS[1]])
    words = [text.get_text().replace("\n", " ") for text in ax.texts]
    assert "until val/AP not better for 3 evaluations" in words
    assert "0, 1 in turn, every 2 steps" in words
    assert {"one", "open"} <= set(words)
    assert "each row has its own scale" not in words


def test_weights_far_apart_get_rows_of_their_own_scale():
    (ax,) = draw_timeline(Curriculum(stage("one", Epochs(1), 1.0, 0.001))).axes
    assert "each row has its own scale" in [text.get_text() for text in ax.texts]
    tops = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 2]
    assert tops[0] - 1 == pytest.approx(tops[1])


def test_axes_of_ones_own_are_used(curriculum):
    from matplotlib.figure import Figure

    figure = Figure()
    first, second = figure.subplots(2)
    assert draw_timeline(curriculum, ax=second) is figure
    assert not first.lines
    assert second.lines


def test_an_unknown_suffix_is_refused(curriculum, tmp_path):
    with pytest.raises(ConfigurationError, match=r"timeline\.txt must end in.*\.png"):
        draw_timeline(curriculum, tmp_path / "timeline.txt")
    assert not list(tmp_path.iterdir())


def test_drawing_leaves_pyplot_alone_and_importing_leaves_matplotlib_alone():
    code = (
        "import sys, kdkit.timeline_picture as t; assert 'matplotlib' not in sys.modules; "
        "from kdkit import *; "
        "t.draw_timeline(Curriculum(Stage('a', [Supervise('x', losses.mse)], Epochs(1)))); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
