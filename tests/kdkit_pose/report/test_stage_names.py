from kdkit_pose.report import curves
from kdkit_pose.report.timeline import StageSpan


def test_names_of_short_stages_are_not_written_over_each_other():
    spans = [StageSpan("primary", 0, 90), StageSpan("senior", 90, 95), StageSpan("binarized", 95, 100)]
    assert curves._label_rows(spans) == [0, 0, 1]
    assert curves._label_rows([*spans, StageSpan("last of all", 100, 101), StageSpan("end", 101, 200)]) == [
        *(0, 0, 1, 2, 0)
    ]
