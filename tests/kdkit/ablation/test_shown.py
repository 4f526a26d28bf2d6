"""Tables and pictures."""

import json

import pytest

from kdkit import ConfigurationError
from kdkit.ablation import Results, Trial, draw_curves, draw_differences, results_table


def test_the_table_says_what_is_clear(ablation):
    results = ablation().run()
    head, titles, plain, odkd, longer = results_table(results).splitlines()
    assert str(results) == results_table(results)
    assert "AP, larger is better" in head
    assert titles.split()[0] == "variant"
    assert plain.split() == ["plain", "3", "0.3500", "(0.2258", "to", "0.4742)", "100", "800"]
    assert "+0.0200" in odkd
    assert " *" in odkd
    assert " *" not in longer


def test_json_holds_every_number(ablation):
    results = ablation().run()
    content = json.loads(json.dumps(results.to_json()))
    assert [row["name"] for row in content["rows"]] == ["plain", "odkd", "longer"]
    assert content["rows"][0]["difference"] is None
    assert content["rows"][1]["difference"]["count"] == 3
    assert content["trials"]["odkd"]["2"]["metrics"] == {"AP": 0.37}


def test_a_point_a_seed_is_drawn(ablation, tmp_path):
    figure = draw_differences(ablation().run(), tmp_path / "differences.png")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["odkd", "longer"]
    points = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(points) == 2
    assert list(points[0].get_xdata()) == pytest.approx([0.02, 0.02, 0.02])
    assert (tmp_path / "differences.png").stat().st_size > 1000


def test_one_seed_has_no_bar(ablation):
    (axes,) = draw_differences(ablation(seeds=(0,)).run()).axes
    assert not [line for line in axes.lines if line.get_linewidth() == 2]


def test_curves_are_means_in_bands(ablation, tmp_path):
    figure = draw_curves(ablation().run(), ["plain", "longer"], tmp_path / "curves.png")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["plain", "longer"]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.175])
    assert len(axes.collections) == 2


def test_many_curves_are_told_apart_and_named_beside_them(tmp_path):
    names = [f"variant_{number}" for number in range(40)]
    curve = [(50, {"AP": 0.3}), (100, {"AP": 0.5})]
    results = Results({name: {0: Trial({"AP": 0.5}, 100, 800, curve=curve)} for name in names}, "AP", names[0])
    figure = draw_curves(results, path=tmp_path / "curves.png")
    (axes,), (legend,) = figure.axes, figure.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    assert len({(line.get_color(), str(line._dash_pattern)) for line in axes.lines}) == 40
    drawn, beside = axes.get_window_extent(), legend.get_window_extent()
    assert drawn.height > 0.8 * figure.bbox.height
    assert drawn.x1 <= beside.x0
    assert beside.y0 >= 0
    assert beside.y1 <= figure.bbox.height
    assert draw_curves(results, names[:7]).legends == []


def test_an_evaluation_that_was_no_number_is_left_out_of_a_curve():
    curve = [(50, {"AP": float("nan")}), (100, {"AP": 0.5})]
    trials = {0: Trial({"AP": 0.5}, 100, 800, curve=curve), 1: Trial({"AP": 0.7}, 100, 800, curve=curve)}
    (axes,) = draw_curves(Results({"plain": trials}, "AP", "plain")).axes
    assert list(axes.lines[0].get_xdata()) == [100]


def test_nothing_to_compare_is_said():
    with pytest.raises(ConfigurationError, match="no variant has a seed in common"):
        draw_differences(Results({"plain": {}, "odkd": {}}, "AP", "plain"))
