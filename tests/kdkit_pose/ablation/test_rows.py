from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from kdkit import (
    Binarize,
    ConfigurationError,
    Constant,
    Cosine,
    Distill,
    Identity,
    ModuleTeacher,
    Ramp,
    Truncate,
    losses,
)
from kdkit_pose import recipes
from kdkit_pose.ablation import CORE, ROWS, Plan, roles_of, rows_named

ROLES = roles_of(list(ROWS))


@pytest.fixture
def plan():
    teachers = {
        role: ModuleTeacher(role, torch.nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap") for role in ROLES
    }
    return Plan(teachers, 8, Constant(1e-3))


def length(curriculum):
    assert {one.unit for one in curriculum.lengths} == {"epochs"}
    return sum(one.amount for one in curriculum.lengths)


@pytest.mark.parametrize("epochs", [3, 4, 5, 8, 30])
@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_the_epochs_and_the_teachers_it_says(plan, name, epochs):
    row = ROWS[name]
    curriculum = row.curriculum(replace(plan, epochs=epochs))
    assert length(curriculum) == epochs * row.budget
    taught = {teacher.name for stage in curriculum for teacher in stage.teachers}
    assert taught == set(row.teachers)
    assert (row.budget != 1) == (name == "plain_twice")


def test_no_two_rows_are_the_same(plan):
    rows = {(row.activation, row.targets, repr(list(row.curriculum(plan)))) for row in ROWS.values()}
    assert len(rows) == len(ROWS)


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


def test_where_and_how_much_teachers_are_learned_from(plan):
    found = {
        name: {
            (isinstance(one, Distill), one.region, round(one.schedule.values()[0], 6))
            for stage in ROWS[name].curriculum(plan)
            for one in stage.objectives
        }
        for name in ("odkd", "odkd_everywhere", "odkd_alpha_0.8", "odkd_everywhere_alpha_0.8")
    }
    assert found == {
        "odkd": {(False, "visible", 0.5), (True, "visible", 0.5)},
        "odkd_everywhere": {(False, "visible", 0.5), (True, None, 0.5)},
        "odkd_alpha_0.8": {(False, "visible", 0.2), (True, "visible", 0.8)},
        "odkd_everywhere_alpha_0.8": {(False, "visible", 0.2), (True, None, 0.8)},
    }


@pytest.mark.parametrize(("name", "first"), [("odkd", 4), ("odkd_early", 2), ("odkd_late", 6)])
def test_when_teachers_change(plan, name, first):
    assert [stage.until.length().amount for stage in ROWS[name].curriculum(plan)] == [first, 8 - first]


@pytest.mark.parametrize("name", ["binary_mse", "binary_mse_sigmoid", "binary_bce"])
def test_binary_rows_are_binary_throughout(plan, name):
    row = ROWS[name]
    curriculum = row.curriculum(plan)
    assert [stage.name for stage in curriculum] == ["primary", "senior"]
    for kind in ("truth", "taught"):
        assert transforms(curriculum, kind) == [{Binarize(0.5)}] * 2
    loss = losses.bce if name == "binary_bce" else losses.mse
    assert {one.loss for stage in curriculum for one in stage.objectives} == {loss}
    assert row.activation == ("none" if name == "binary_mse" else "sigmoid")


@pytest.mark.parametrize(
    ("name", "truth", "taught"),
    [
        ("plain_bce", Identity(), set()),
        ("plain_binary_bce", Binarize(0.5), set()),
        ("plain_binary_bce_0.1", Binarize(0.1), set()),
        ("plain_binary_bce_0.3", Binarize(0.3), set()),
        ("plain_binary_bce_0.7", Binarize(0.7), set()),
        ("odkd_bce", Identity(), {Truncate(0.0)}),
        ("binary_bce", Binarize(0.5), {Binarize(0.5)}),
        ("binary_bce_alike", Binarize(0.5), {Binarize(0.5)}),
        ("binary_bce_alike_soft", Binarize(0.5), {Identity()}),
        ("binary_bce_alike_soft_blind", Binarize(0.5), {Identity()}),
        *(
            (f"{name}_bce_alike_soft", Binarize(0.5), {Identity()})
            for name in ("reversed", "joint", "primary_only", "senior_only", "blind_only")
        ),
    ],
)
def test_rows_by_cross_entropy_differ_in_teachers_and_binarization_alone(plan, name, truth, taught):
    row = ROWS[name]
    curriculum = row.curriculum(plan)
    assert row.activation == "sigmoid"
    for stage in curriculum:
        assert {one.loss for one in stage.objectives} == {losses.bce}
        assert {one.transform for one in stage.objectives if not isinstance(one, Distill)} == {truth}
        assert {one.transform for one in stage.objectives if isinstance(one, Distill)} == taught


SQUARES = {"loss": losses.mse}
NOTHING = {"primary_binarized": "none", "senior_binarized": "none"}
TRUTH = {"primary_binarized": "truth", "senior_binarized": "truth"}


@pytest.mark.parametrize(
    ("name", "recipe", "options"),
    [
        ("plain_binary_bce", recipes.supervised, {}),
        ("plain", recipes.supervised, SQUARES),
        ("binary_bce_alike", recipes.odkd, {}),
        ("binary_bce_alike_soft", recipes.odkd, TRUTH),
        ("binary_bce", recipes.odkd, {}),
        ("odkd_both", recipes.odkd, SQUARES),
        ("odkd", recipes.odkd, {**SQUARES, **NOTHING}),
        ("reversed_bce_alike_soft", recipes.reversed_order, TRUTH),
        ("reversed", recipes.reversed_order, {**SQUARES, **NOTHING}),
        ("joint_bce_alike_soft", recipes.joint, {"binarized": "truth"}),
        ("joint", recipes.joint, SQUARES),
        ("primary_only_bce_alike_soft", recipes.primary_only, {"binarized": "truth"}),
        ("primary_only", recipes.primary_only, SQUARES),
        ("senior_only_bce_alike_soft", recipes.senior_only, {"binarized": "truth"}),
        ("senior_only", recipes.senior_only, {**SQUARES, "binarized": "none"}),
        ("fpd", recipes.fpd, {}),
    ],
)
def test_rows_are_the_recipes_that_the_page_on_ablations_says(plan, name, recipe, options):
    row = ROWS[name]
    halves = recipe in (recipes.odkd, recipes.reversed_order)
    lengths = {"primary_until": 4, "senior_until": 4} if halves else {"until": 8}
    made = recipe(*(plan.teachers[role] for role in row.teachers), learning_rate=plan.rate, **lengths, **options)
    assert repr(list(row.curriculum(plan))) == repr(list(made))


def walk(plan, name, metrics=()):
    """Go through a row, ten steps an epoch; return stage, rate and the weights before every step."""
    curriculum, metrics = ROWS[name].curriculum(plan), list(metrics)
    curriculum.steps_per_epoch = 10
    seen = []
    while not curriculum.finished:
        for _ in range(10):
            stage = curriculum.stage
            weights = {one.source: curriculum.value(one.schedule) for one in stage.objectives}
            seen.append((stage.name, curriculum.value(stage.learning_rate), weights))
            curriculum.advance()
        curriculum.end_epoch({"val/AP": metrics.pop(0)} if metrics else {})
    return seen


FALLING = Cosine(1e-3, 1e-5, over="run")


@pytest.mark.parametrize(("metrics", "first"), [((0.1, 0.2, 0.2, 0.1), 4), ((0.5, 0.4, 0.3), 3), (range(8), 6)])
def test_the_plateau_row_switches_by_itself_and_takes_as_long(plan, metrics, first):
    plan = replace(plan, rate=FALLING)
    seen = walk(plan, "odkd_plateau", metrics)
    assert [stage for stage, _, _ in seen] == ["primary"] * 10 * first + ["senior"] * 10 * (8 - first)
    assert [rate for _, rate, _ in seen] == pytest.approx([rate for _, rate, _ in walk(plan, "odkd")])


@pytest.mark.parametrize(("name", "second"), [("odkd_restart", 1.0), ("odkd_low", 0.3)])
def test_each_stage_has_its_course_of_the_rate_after_a_warmup(plan, name, second):
    seen = walk(replace(plan, rate=FALLING), name)
    assert [stage for stage, _, _ in seen] == ["primary"] * 40 + ["senior"] * 40
    rates = [rate for _, rate, _ in seen]
    assert rates[:2] == [pytest.approx(1e-4), pytest.approx(5.5e-4, rel=0.01)]
    assert rates[2:40] == [pytest.approx(FALLING(step / 40)) for step in range(2, 40)]
    assert rates[40:] == [pytest.approx(second * rate) for rate in rates[:40]]


def test_a_course_that_cannot_begin_anew_is_said(plan):
    with pytest.raises(ConfigurationError, match="cannot begin anew in each stage: use a Cosine"):
        ROWS["odkd_low"].curriculum(replace(plan, rate=Ramp(1.0, 0.5, over="run")))


@pytest.mark.parametrize(("epochs", "stages"), [(3, (1, 1, 1)), (8, (3, 2, 3)), (20, (8, 4, 8)), (21, (8, 4, 9))])
def test_the_crossfade_passes_the_teachers_share_on(plan, epochs, stages):
    seen = walk(replace(plan, epochs=epochs, rate=FALLING), "odkd_crossfade")
    names = [stage for stage, _, _ in seen]
    assert [names.count(name) // 10 for name in ("primary", "crossfade", "senior")] == list(stages)
    share = [(one.get("distill/primary", 0.0), one.get("distill/senior", 0.0)) for _, _, one in seen]
    assert [primary + senior for primary, senior in share] == [pytest.approx(0.5)] * len(seen)
    assert {one["supervise"] for _, _, one in seen} == {0.5}
    primary = [before for before, _ in share]
    assert primary == sorted(primary, reverse=True)
    assert (primary[0], primary[-1]) == (0.5, 0.0)
    steps = [before - after for before, after in pairwise(primary)]
    assert max(steps) == pytest.approx(0.5 / (10 * stages[1]))


def test_what_cannot_be_built_is_said(plan):
    with pytest.raises(ConfigurationError, match=r"no rows \['odk'\], only plain"):
        rows_named(["plain", "odk"])
    with pytest.raises(ConfigurationError, match=r"no teacher for \['senior'\], only for \['primary'\]"):
        ROWS["odkd"].curriculum(Plan({"primary": plan.teachers["primary"]}, 8, Constant(1e-3)))
    with pytest.raises(ConfigurationError, match="two epochs"):
        ROWS["odkd"].curriculum(Plan(plan.teachers, 1, Constant(1e-3)))
    with pytest.raises(ConfigurationError, match="three epochs"):
        ROWS["odkd_crossfade"].curriculum(Plan(plan.teachers, 2, Constant(1e-3)))


def test_the_core_answers_the_questions():
    assert CORE[0] == "plain"
    assert set(roles_of(CORE)) == {"primary", "senior", "blind"}
