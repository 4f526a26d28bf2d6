import pytest
import torch
import torch.nn.functional as F

from kdkit import BatchError, ConfigurationError, ModuleTeacher
from kdkit.weighting import TeacherRegion

TARGETS = {"senior": {"heatmap": torch.zeros(2, 3), "doubt": torch.tensor([[-1.0], [1.0]])}}


def test_gives_the_output_mapped(context):
    target = torch.zeros(2, 3)
    assert torch.equal(
        TeacherRegion("senior", "doubt").weigh(target, context(targets=TARGETS)), TARGETS["senior"]["doubt"]
    )
    mapped = TeacherRegion("senior", "doubt", torch.sigmoid).weigh(target, context(targets=TARGETS))
    assert torch.equal(mapped, TARGETS["senior"]["doubt"].sigmoid())


@pytest.mark.parametrize("function", [None, torch.exp, torch.nn.Linear(1, 1)])
def test_carries_no_gradient(context, function):
    doubt = torch.ones(2, 1, requires_grad=True)
    region = TeacherRegion("senior", "doubt", function)
    assert not region.weigh(doubt, context(targets={"senior": {"doubt": doubt}})).requires_grad


def test_a_teacher_is_as_good_as_its_name():
    teacher = ModuleTeacher("senior", torch.nn.Identity(), "image", ("heatmap", "doubt"))
    assert TeacherRegion(teacher, "doubt") == TeacherRegion("senior", "doubt")
    with pytest.raises(ConfigurationError, match="no output 'depth'"):
        TeacherRegion(teacher, "depth")


def test_repr_names_the_function():
    assert repr(TeacherRegion("senior", "doubt")) == "TeacherRegion('senior', 'doubt')"
    assert " at 0x" not in repr(TeacherRegion("senior", "doubt", lambda doubt: 1 - doubt))
    assert repr(TeacherRegion("senior", "doubt", F.relu)) == "TeacherRegion('senior', 'doubt', map=relu)"


def test_a_teacher_that_was_not_run_is_named(context):
    with pytest.raises(BatchError, match=r"'primary' was not run in this step.*senior"):
        TeacherRegion("primary", "doubt").weigh(torch.zeros(2), context(targets=TARGETS))
    with pytest.raises(BatchError, match=r"gave no 'depth', only \['doubt', 'heatmap'\]"):
        TeacherRegion("senior", "depth").weigh(torch.zeros(2), context(targets=TARGETS))
    with pytest.raises(ConfigurationError, match="not a function"):
        TeacherRegion("senior", "doubt", map="sigmoid")
