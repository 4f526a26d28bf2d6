from dataclasses import replace

import pytest
import torch

from kdkit import ConfigurationError
from kdkit_pose.teacher_check import DOUBTFUL_AP, check_teachers, doubtful_order


class Scores:
    """Stands for an evaluator: every network has the AP that was noted for it."""

    def __init__(self, *pairs):
        self.by_module = {teacher.module: ap for teacher, ap in pairs}

    def metrics(self, module):
        assert not module.training
        return {"AP": self.by_module[module], "boxes": "ground truth"}


@pytest.fixture
def teachers(tiny_teacher):
    return {"primary": tiny_teacher("primary"), "senior": tiny_teacher("senior", "concat")}


@pytest.fixture
def check(teachers):
    def run(primary, senior, **options):
        lines = []
        scores = Scores((teachers["primary"], primary), (teachers["senior"], senior))
        return check_teachers(teachers, scores, say=lines.append, **options), lines

    return run


def test_each_teacher_gets_a_line_with_its_ap_and_boxes(check):
    found, lines = check(0.7, 0.8)
    assert found == {"primary": 0.7, "senior": 0.8}
    assert lines == [
        "teacher primary: AP 0.700 with ground truth boxes",
        "teacher senior: AP 0.800 with ground truth boxes",
    ]


def test_a_teacher_that_knows_hardly_anything_is_doubted(check):
    _, lines = check(DOUBTFUL_AP / 2, DOUBTFUL_AP)
    assert "right file" in lines[0]
    assert "right file" not in lines[1]


def test_an_undefined_ap_counts_as_none(check):
    found, lines = check(None, 0.8)
    assert found["primary"] == 0
    assert "right file" in lines[0]
    with pytest.raises(ConfigurationError):
        check(None, 0.8, floor=0.1)


def test_below_the_floor_it_stops_and_names_the_teacher(check):
    with pytest.raises(
        ConfigurationError, match=r"'senior' has AP 0\.400 with ground truth boxes.*0\.5.*--allow-weak"
    ):
        check(0.6, 0.4, floor=0.5)


def test_the_floor_itself_is_enough(check):
    found, _ = check(0.5, 0.5, floor=0.5)
    assert found == {"primary": 0.5, "senior": 0.5}


def test_allow_weak_goes_on_and_still_reports_all(check):
    found, lines = check(0.1, 0.2, floor=0.5, allow_weak=True)
    assert found == {"primary": 0.1, "senior": 0.2}
    assert len(lines) == 2


def test_the_teachers_are_untouched_by_a_real_evaluation(teachers, tiny_people, tiny_evaluator):
    from kdkit_pose import Evaluator, loader

    data = tiny_people(drawing=2, pictures=2, masks=True)
    evaluator = Evaluator(loader(data, 8), data.coco_dict(), data.codec)
    before = {
        name: {key: value.clone() for key, value in teacher.module.state_dict().items()}
        for name, teacher in teachers.items()
    }
    found = check_teachers(teachers, evaluator, say=lambda line: None)
    assert set(found) == {"primary", "senior"}
    for name, teacher in teachers.items():
        assert not any(module.training for module in teacher.module.modules())
        assert not any(parameter.requires_grad for parameter in teacher.parameters())
        for key, value in teacher.module.state_dict().items():
            assert torch.equal(value, before[name][key])


def test_each_teacher_is_decoded_by_its_own_decoder(teachers, tiny_people, monkeypatch):
    from kdkit_pose import Evaluator, loader

    data = tiny_people(drawing=2, pictures=2, masks=True)
    evaluator = Evaluator(loader(data, 8), data.coco_dict(), data.codec, flip=False)
    used = []
    monkeypatch.setattr(
        Evaluator, "metrics", lambda self, module: used.append(self._codec) or {"AP": 0.5, "boxes": "detector"}
    )
    check_teachers(teachers, evaluator, decoders={"senior": "centroid"}, say=lambda line: None)
    assert used == [data.codec, replace(data.codec, decoder="centroid")]


def test_one_teacher_at_a_time_is_on_the_device(teachers, check, monkeypatch):
    moves = []
    for name, teacher in teachers.items():
        monkeypatch.setattr(teacher, "to", lambda device, n=name, t=teacher: moves.append((n, str(device))) or t)
    check(0.7, 0.8, device=torch.device("cuda:1"))
    assert moves == [("primary", "cuda:1"), ("primary", "cpu"), ("senior", "cuda:1"), ("senior", "cpu")]


def test_teachers_go_back_to_where_they_were(check, teachers, monkeypatch):
    from types import SimpleNamespace

    from kdkit import ModuleTeacher

    there, here = torch.device("cuda", 1), torch.device("cpu")
    moves = []
    monkeypatch.setattr(ModuleTeacher, "parameters", lambda self: [SimpleNamespace(device=there)])
    monkeypatch.setattr(ModuleTeacher, "to", lambda self, device: moves.append((self.name, device)) or self)
    check(0.7, 0.8, device=here)
    assert moves == [("primary", here), ("primary", there), ("senior", here), ("senior", there)]


def test_a_later_teacher_that_is_clearly_worse_is_doubted():
    assert doubtful_order({"primary": 0.5, "senior": 0.4}) == []
    assert doubtful_order({"primary": 0.2, "senior": 0.9}) == []
    (line,) = doubtful_order({"primary": 0.7, "senior": 0.4})
    assert "'senior' has AP 0.400 and 'primary' before it 0.700: are their files exchanged?" in line
