from kdkit_pose.report.timeline import StageSpan, epochs_done, series, stage_spans


def _line(step, epoch, stage, **values):
    return {"step": step, "epoch": epoch, "stage": stage, **values}


LINES = [
    _line(10, 1, "primary", loss=1.0),
    _line(20, 2, "primary", loss=None),
    _line(30, 3, "senior", loss=float("nan")),
    # The last stage ended by its steps, in the middle of the fourth epoch.
    _line(34, 3, "senior", loss=0.5),
]


def test_an_epoch_cut_short_counts_in_part():
    assert epochs_done(LINES) == [1.0, 2.0, 3.0, 3.4]


def test_a_series_leaves_out_what_is_not_known():
    assert series(LINES, "loss") == ([1.0, 3.4], [1.0, 0.5])
    assert series(LINES, "absent") == ([], [])


def test_stages_follow_each_other_without_a_gap():
    assert stage_spans(LINES) == [StageSpan("primary", 0.0, 2.0), StageSpan("senior", 2.0, 3.4)]


def test_a_stage_that_comes_back_is_marked_twice():
    lines = [_line(5 * i, i, stage) for i, stage in enumerate("aba", start=1)]
    assert [span.name for span in stage_spans(lines)] == ["a", "b", "a"]


def test_a_run_without_lines_has_no_stages():
    assert epochs_done([]) == []
    assert stage_spans([]) == []
