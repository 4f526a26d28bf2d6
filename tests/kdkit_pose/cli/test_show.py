import json

import pytest
from rich.console import Console

from kdkit_pose import DARK, CocoKeypoints, SyntheticPeople, loader, masks
from kdkit_pose.cli.show import FIGURES, metrics_table, progress_bar, show_doubtful_masks, tracked, write_json


@pytest.fixture
def metrics():
    return {name: (index + 1) / 20 for index, name in enumerate(FIGURES)} | {"boxes": "ground truth"}


def printed(table, capsys, width=80):
    Console(width=width, legacy_windows=False).print(table)
    return capsys.readouterr().out


def test_the_table_fits_80_columns_whole_and_says_which_boxes(metrics, capsys):
    rows = {"hrnet_w16_small": metrics, "another": {**metrics, "boxes": "detector"}}
    text = printed(metrics_table(rows, "network"), capsys)
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    header = text.splitlines()[0].split()
    assert header == ["network", *FIGURES]
    row = next(line for line in text.splitlines() if "hrnet_w16_small" in line)
    assert row.split()[1:] == [f"{metrics[name]:.3f}" for name in FIGURES]
    assert "ground truth boxes" in text
    assert "detector boxes" in text


def test_a_figure_that_is_not_defined_is_a_dash_that_is_explained(metrics, capsys):
    assert "no such person" not in printed(metrics_table({"net": metrics}), capsys)
    text = printed(metrics_table({"net": {**metrics, "APL": None}}), capsys)
    row = next(line for line in text.splitlines() if "net" in line)
    assert row.split()[1:][FIGURES.index("APL")] == "-"
    assert "-: the ground truth has no such person" in text
    assert "nan" not in text.lower()


def test_a_long_name_is_folded_not_cut(metrics, capsys):
    text = printed(metrics_table({"person_keypoints_val2017_results.json": metrics}), capsys)
    assert "".join(line.split()[0] for line in text.splitlines()[2:4]) == "person_keypoints_val2017_results.json"


def test_tracked_batches_are_all_there_and_print_nothing_without_a_terminal(capsys):
    people = SyntheticPeople(1, seed=0, size=(64, 64))
    data = CocoKeypoints(people.annotations(), people.picture, codec=DARK(input_size=(32, 32)))
    assert sum(len(batch["id"]) for batch in tracked(loader(data, 2), "evaluating")) == len(data)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_a_progress_bar_prints_nothing(capsys):
    with progress_bar("resampling") as tell:
        tell(1, 2)
    assert capsys.readouterr() == ("", "")


def test_json_is_written_whole_and_none_is_null(metrics, tmp_path):
    write_json({**metrics, "APM": None}, tmp_path / "deep" / "figures.json")
    assert json.loads((tmp_path / "deep" / "figures.json").read_text()) == {**metrics, "APM": None}
    write_json(metrics, None)
    assert len(list(tmp_path.rglob("*.json"))) == 1


@pytest.mark.parametrize(("iou", "box", "warned"), [(0.5, 0.6, True), (0.6, 0.6, True), (0.7, 0.6, False)])
def test_masks_no_better_than_the_box_are_doubted(capsys, iou, box, warned):
    source = masks.MaskSource("m.safetensors", "0" * 64, "fpn", (64, 64), 0.5, iou=iou, persons=9, box=box)
    for measured in (source, masks.MaskScores(iou, 0.4, box, persons=9)):
        show_doubtful_masks(measured, Console(width=200))
        text = capsys.readouterr().out
        assert ("warning: the box itself is the better mask" in text) == warned
        assert (f"IoU {box:.3f}, the predictor's {iou:.3f}" in text) == warned


def test_masks_of_which_the_box_is_not_known_are_not_doubted(capsys):
    source = masks.MaskSource("m.safetensors", "0" * 64, "fpn", (64, 64), 0.5, iou=0.1, persons=9)
    show_doubtful_masks(source, Console(width=200))
    assert not capsys.readouterr().out
