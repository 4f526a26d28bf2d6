import dataclasses

import numpy as np
import pytest

from kdkit_pose.report import draw_learning_curve, draw_loss_curves

pytestmark = pytest.mark.parametrize("draw", [draw_loss_curves, draw_learning_curve])


def _is_picture(image) -> bool:
    return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and len(np.unique(image)) > 2


def test_a_curve_is_a_picture_that_names_the_staged_run(draw, make_run):
    runs = [make_run("plain student"), make_run("ODKD student", stages=("primary", "senior"))]
    figure = draw(runs)
    assert _is_picture(figure.image)
    assert figure.caption.endswith("Shaded: the stages of the ODKD student.")


def test_stages_are_shaded_only_where_there_are_several(draw, make_run):
    plain, staged = draw([make_run("a", stages=("x", "x"))]), draw([make_run("a", stages=("x", "y"))])
    assert "Shaded" not in plain.caption
    assert not np.array_equal(plain.image, staged.image)


def test_each_run_leaves_its_own_mark(draw, make_run):
    one, two = make_run("one"), make_run("two")
    lower = [{**line, "loss/total": 0.01, "val/AP": 0.01} for line in two.lines]
    assert not np.array_equal(draw([one, two]).image, draw([one, dataclasses.replace(two, lines=lower)]).image)


@pytest.mark.parametrize("lines", [0, 1])
def test_a_run_of_hardly_any_lines_can_be_drawn(draw, make_run, lines):
    run = make_run("short")
    assert _is_picture(draw([dataclasses.replace(run, lines=run.lines[:lines])]).image)


def test_no_runs_and_unknown_values_can_be_drawn(draw, make_run):
    run = make_run("broken")
    lines = [
        {**line, "loss/total": value, "val/AP": None} for line, value in zip(run.lines, (None, 0.0), strict=True)
    ]
    assert _is_picture(draw([]).image)
    assert _is_picture(draw([dataclasses.replace(run, lines=lines)]).image)


def test_names_are_no_mathematics(draw, make_run):
    assert _is_picture(draw([make_run("<$x_{$> & $\\frac$", stages=("$a^{$", "$b"))]).image)


def test_drawing_leaves_no_global_state(draw, make_run):
    import matplotlib.pyplot as plt

    draw([make_run("one")])
    assert plt.get_fignums() == []
