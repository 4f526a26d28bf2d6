import pytest
import torch

from kdkit import Binarize, ConfigurationError, Constant, Distill, Identity, ModuleTeacher, Truncate
from kdkit_pose.ablation import CORE, ROWS, Plan, roles_of, rows_named

ROLES = roles_of(list(ROWS))


@pytest.fixture
def plan():
    teachers = {
        role: ModuleTeacher(role, torch.nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap") for role in ROLES
    }
    return Plan(teachers, 8, Constant(1e-3))


def length(curriculum):
    return sum(stage.until.length().amount for stage in curriculum)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_the_epochs_and_the_teachers_it_says(plan, name):
    row = ROWS[name]
    curriculum = row.curriculum(plan)
    assert length(curriculum) == 8 * row.budget
    taught = {teacher.name for stage in curriculum for teacher in stage.teachers}
    assert taught == set(row.teachers)
    assert (row.budget != 1) == (name == "plain_twice")


def test_no_two_rows_are_the_same(plan):
    assert len({(repr(list(row.curriculum(plan))), row.targets) for row in ROWS.values()}) == len(ROWS)


def transforms(curriculum, kind):
    return [
        {one.transform for one in stage.objectives if isinstance(one, Distill) == (kind == "taught")}
        for stage in curriculum
    ]


@pytest.mark.parametrize(
    ("name", "truth", "taught"),
    [
        ("odkd", Identity(), Identity()),
        ("odkd_truth", Binarize(0.5), Identity()),
        ("odkd_teacher", Identity(), Binarize(0.5)),
        ("odkd_both", Binarize(0.5), Binarize(0.5)),
        ("odkd_both_0.3", Binarize(0.3), Binarize(0.3)),
        ("odkd_truncate", Identity(), Truncate(0.1)),
    ],
)
def test_the_second_stage_alone_is_transformed(plan, name, truth, taught):
    curriculum = ROWS[name].curriculum(plan)
    assert transforms(curriculum, "truth") == [{Identity()}, {truth}]
    assert transforms(curriculum, "taught") == [{Identity()}, {taught}]


@pytest.mark.parametrize(("name", "first"), [("odkd", 4), ("odkd_early", 2), ("odkd_late", 6)])
def test_when_teachers_change(plan, name, first):
    assert [stage.until.length().amount for stage in ROWS[name].curriculum(plan)] == [first, 8 - first]


def test_what_cannot_be_built_is_said(plan):
    with pytest.raises(ConfigurationError, match=r"no rows \['odk'\], only plain"):
        rows_named(["plain", "odk"])
    with pytest.raises(ConfigurationError, match=r"no teacher for \['senior'\], only for \['primary'\]"):
        ROWS["odkd"].curriculum(Plan({"primary": plan.teachers["primary"]}, 8, Constant(1e-3)))
    with pytest.raises(ConfigurationError, match="two epochs"):
        ROWS["odkd"].curriculum(Plan(plan.teachers, 1, Constant(1e-3)))


def test_the_core_answers_the_questions():
    assert CORE[0] == "plain"
    assert set(roles_of(CORE)) == {"primary", "senior", "blind"}
