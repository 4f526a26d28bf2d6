from dataclasses import replace
from functools import partial

import pytest
import torch

from kdkit import (
    Binarize,
    CachedTeacher,
    ConfigurationError,
    Distiller,
    Epochs,
    Identity,
    Plateau,
    Steps,
    Student,
    Supervise,
    TargetCache,
    TransformedTeacher,
    build_cache,
    fast_teacher,
    losses,
)
from kdkit.cache import Dense
from kdkit_pose import DARK, CocoKeypoints, SyntheticPeople, models, pose_student, recipes

TEACHERS = {
    "odkd": 2,
    "reversed_order": 2,
    "joint": 2,
    "primary_only": 1,
    "senior_only": 1,
    "fpd": 1,
    "supervised": 0,
}
DISTILLING = [name for name, count in TEACHERS.items() if count]


@pytest.fixture
def build(tiny_teacher):
    def make(name, **options):
        teachers = {
            2: (tiny_teacher("primary"), tiny_teacher("senior", "concat")),
            1: (tiny_teacher("teacher"),),
            0: (),
        }[TEACHERS[name]]
        return getattr(recipes, name)(*teachers, **options)

    return make


def binarized(curriculum):
    """Which targets each stage binarizes."""
    found = []
    for stage in curriculum:
        kinds = {
            "truth" if isinstance(objective, Supervise) else "teacher"
            for objective in stage.objectives
            if objective.transform != Identity()
        }
        found.append("both" if len(kinds) == 2 else next(iter(kinds), "none"))
    return found


def test_every_recipe_is_listed():
    assert set(recipes.NAMES) == set(TEACHERS)


@pytest.mark.parametrize("name", TEACHERS)
def test_every_recipe_runs_through_to_a_finite_loss_and_a_gradient(build, small_network, tiny_people, name):
    curriculum = build(name)
    network = small_network(activation="none" if name == "fpd" else "sigmoid")
    distiller = Distiller(Student(network, "image", "heatmap"), curriculum)
    data = tiny_people(pictures=2)
    batch = torch.utils.data.default_collate([data[0], data[1]])
    rows = distiller.check(batch).objectives
    assert {row.stage for row in rows} == {stage.name for stage in curriculum}
    assert all(row.prediction == row.target == (2, 17, 8, 8) and row.loss > 0 for row in rows)
    step = distiller(batch)
    step.total.backward()
    assert torch.isfinite(step.total)
    assert network.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", TEACHERS)
def test_every_recipe_lasts_the_same_by_default(build, name):
    assert sum(stage.until.length().amount for stage in build(name)) == 210
    assert {stage.until.length().unit for stage in build(name)} == {"epochs"}


@pytest.mark.parametrize("name", DISTILLING)
@pytest.mark.parametrize("alpha", [0, 0.25, 0.5, 1])
def test_weights_sum_to_one_and_the_teachers_have_alpha(build, name, alpha):
    for stage in build(name, alpha=alpha):
        weights = {item.name: item.schedule(0) for item in stage.objectives}
        assert sum(weights.values()) == pytest.approx(1)
        assert sum(value for key, value in weights.items() if key.startswith("distill")) == pytest.approx(alpha)
        assert all(value > 0 for value in weights.values())
        if alpha in (0, 1):
            assert {item.source == "supervise" for item in stage.objectives} == {alpha == 0}
        assert len({value for key, value in weights.items() if key.startswith("distill")}) <= 1


@pytest.mark.parametrize("name", TEACHERS)
def test_unlabelled_keypoints_never_count(build, name):
    assert {item.region for stage in build(name) for item in stage.objectives} == {"visible"}


@pytest.mark.parametrize("name", TEACHERS)
def test_all_but_fpd_learn_binarized_targets_by_cross_entropy(build, name):
    loss, transform = (losses.mse, Identity()) if name == "fpd" else (losses.bce, Binarize(0.5))
    found = [(item.loss, item.transform) for stage in build(name) for item in stage.objectives]
    assert set(found) == {(loss, transform)}


@pytest.mark.parametrize("loss", [losses.bce_with_logits, partial(losses.bce)])
def test_any_loss_of_probabilities_has_its_targets_binarized(build, loss):
    assert binarized(build("odkd", loss=loss)) == ["both", "both"]
    assert binarized(build("supervised", loss=loss)) == ["truth"]


def test_odkd_goes_from_primary_to_senior_and_by_squared_error_binarizes_last(build):
    curriculum = build("odkd", loss=losses.mse)
    assert [[teacher.name for teacher in stage.teachers] for stage in curriculum] == [["primary"], ["senior"]]
    assert binarized(curriculum) == ["none", "both"]
    assert all(item.transform == Binarize(0.5) for item in curriculum.stages[1].objectives)


def test_reversed_order_is_odkd_with_the_teachers_exchanged(build):
    curriculum = build("reversed_order")
    assert [[teacher.name for teacher in stage.teachers] for stage in curriculum] == [["senior"], ["primary"]]
    assert binarized(curriculum) == binarized(build("odkd")) == ["both", "both"]
    assert binarized(build("reversed_order", loss=losses.mse)) == ["none", "both"]


@pytest.mark.parametrize("choice", ["none", "truth", "teacher", "both"])
def test_binarization_is_chosen_for_each_stage(build, choice):
    assert binarized(build("odkd", primary_binarized=choice, senior_binarized="none")) == [choice, "none"]
    assert binarized(build("odkd", senior_binarized=choice)) == ["both", choice]
    assert binarized(build("odkd", senior_binarized=choice, loss=losses.mse)) == ["none", choice]
    assert binarized(build("joint", binarized=choice)) == [choice]


def test_the_other_recipes_binarize_as_the_stage_they_are_compared_with(build):
    squares = {"loss": losses.mse}
    assert binarized(build("primary_only", **squares)) == ["none"]
    assert binarized(build("senior_only", **squares)) == ["both"]
    assert binarized(build("joint", **squares)) == binarized(build("supervised", **squares)) == ["none"]
    assert binarized(build("supervised", binarized=True, **squares)) == ["truth"]
    assert binarized(build("fpd")) == ["none"]


@pytest.mark.parametrize(
    ("name", "options", "decoder"),
    [
        ("odkd", {}, "centroid"),
        ("odkd", {"senior_binarized": "none"}, "peak"),
        ("odkd", {"primary_binarized": "both", "senior_binarized": "none"}, "peak"),
        ("odkd", {"senior_binarized": "truth", "alpha": 1}, "peak"),
        ("odkd", {"senior_binarized": "teacher", "alpha": 0}, "peak"),
        ("odkd", {"senior_binarized": "teacher"}, "centroid"),
        ("reversed_order", {}, "centroid"),
        ("senior_only", {}, "centroid"),
        ("primary_only", {}, "centroid"),
        ("primary_only", {"loss": losses.mse}, "peak"),
        ("supervised", {}, "centroid"),
        ("supervised", {"binarized": False}, "peak"),
        ("supervised", {"loss": losses.mse}, "peak"),
        ("fpd", {}, "peak"),
    ],
)
def test_a_student_is_decoded_as_its_last_targets_are(build, name, options, decoder):
    assert recipes.decoder_for(build(name, **options)) == decoder


def test_a_student_of_a_teacher_of_discs_shows_discs_however_the_teacher_is_run(tiny_teacher, tmp_path):
    teacher = tiny_teacher("teacher")
    codec = DARK(input_size=(64, 64))
    teacher.module.codec = replace(codec, decoder="centroid")
    people = SyntheticPeople(1)
    data = CocoKeypoints(people.annotations(), people.picture, codec=codec)
    build_cache(tmp_path, teacher, data, codecs={"heatmap": Dense("float16")}, views=1, prepare=data.prepare)
    for same in (
        teacher,
        fast_teacher(teacher, {"image": torch.rand(1, 3, 64, 64)}),
        CachedTeacher("teacher", TargetCache.open(tmp_path)),
        TransformedTeacher(teacher, outputs={"heatmap": Identity()}),
    ):
        assert recipes.decoder_for(recipes.fpd(same)) == "centroid"
    teacher.module.codec = codec
    assert recipes.decoder_for(recipes.fpd(teacher)) == "peak"


def test_a_binarization_inside_of_a_chain_is_seen(build, tiny_teacher):
    stage = build("supervised").stages[0]
    chained = Supervise("heatmap", losses.mse, transform=Binarize(0.3) >> Binarize(0.5))
    curriculum = type(build("supervised"))(type(stage)("chained", [chained], Epochs(1)))
    assert recipes.decoder_for(curriculum) == "centroid"


def test_conditions_are_taken_in_place_of_epochs(build):
    early = Epochs(5) | Plateau("val/AP", patience=2)
    assert [stage.until for stage in build("odkd", primary_until=early, senior_until=Steps(7))] == [
        early,
        Steps(7),
    ]
    assert build("joint", until=early).stages[0].until is early
    assert [stage.until for stage in build("reversed_order", primary_until=3, senior_until=4)] == [
        Epochs(4),
        Epochs(3),
    ]


@pytest.mark.parametrize("name", DISTILLING)
@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_out_of_range_is_refused(build, name, alpha):
    with pytest.raises(ConfigurationError, match="alpha"):
        build(name, alpha=alpha)


@pytest.mark.parametrize("name", [name for name in TEACHERS if name != "fpd"])
@pytest.mark.parametrize("threshold", [0, -1, float("nan"), 1.5])
def test_a_threshold_out_of_range_is_refused(build, name, threshold):
    with pytest.raises(ConfigurationError, match="threshold"):
        build(name, threshold=threshold)


@pytest.mark.parametrize("option", ["primary_binarized", "senior_binarized"])
def test_an_unknown_binarization_is_refused(build, option):
    with pytest.raises(ConfigurationError, match="'some'"):
        build("odkd", **{option: "some"})


@pytest.mark.parametrize("until", [0, -3, 1.5, "ten", True])
def test_nonsense_lengths_are_refused(build, until):
    with pytest.raises(ConfigurationError):
        build("joint", until=until)


# Several heatmaps of one student, as stacked hourglasses have.


@pytest.fixture
def small_hourglass():
    """A stacked hourglass for inputs of 32 x 32 pixels, of probabilities unless it is said."""

    def make(activation="sigmoid"):
        torch.manual_seed(0)
        config = models.HourglassConfig("small", stacks=3, channels=8, depth=2)
        network = models.StackedHourglass("small", config, 17)
        network.activate(activation)
        return network

    return make


@pytest.mark.parametrize("name", TEACHERS)
def test_every_stack_learns_what_the_last_one_does(build, small_hourglass, tiny_people, name):
    network = small_hourglass("none" if name == "fpd" else "sigmoid")
    curriculum = build(name, outputs=network.heatmap_outputs)
    distiller = Distiller(pose_student(network), curriculum)
    data = tiny_people(pictures=2)
    batch = torch.utils.data.default_collate([data[0], data[1]])
    assert {row.stage for row in distiller.check(batch).objectives} == {stage.name for stage in curriculum}
    for stage in curriculum:
        by_output = {
            output: [
                (item.source, item.schedule(0), item.region, item.transform, item.target, item.loss)
                for item in stage.objectives
                if item.output == output
            ]
            for output in network.heatmap_outputs
        }
        assert len(by_output["heatmap"]) == 1 + TEACHERS[name] * (name == "joint") + (
            name not in ("joint", "supervised")
        )
        assert all(items == by_output["heatmap"] for items in by_output.values())
        names = [item.name for item in stage.objectives]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["odkd", "supervised"])
def test_every_stacks_heatmaps_get_a_gradient_of_their_own(build, small_hourglass, tiny_people, name):
    data = tiny_people(pictures=2)
    batch = torch.utils.data.default_collate([data[0], data[1]])

    def gradients(as_student, outputs):
        network = small_hourglass()
        step = Distiller(as_student(network), build(name, outputs=outputs))(batch)
        step.total.backward()
        return [head.weight.grad for head in network.heatmaps], step

    every, step = gradients(pose_student, ("heatmap", "heatmap_1", "heatmap_2"))
    assert all(gradient.any() for gradient in every)
    assert {part.rpartition("/")[2] for part in step.parts} == {"heatmap", "heatmap_1", "heatmap_2"}
    last, _ = gradients(lambda network: Student(network, network.inputs, "heatmap"), ("heatmap",))
    # The last stack learns as it would alone; those before it learn more than what comes through the stacks.
    torch.testing.assert_close(every[2], last[2])
    assert all(all_.norm() > alone.norm() for all_, alone in zip(every[:2], last[:2], strict=True))


@pytest.mark.parametrize("name", TEACHERS)
def test_one_output_is_the_default(build, name):
    assert [repr(stage) for stage in build(name)] == [repr(stage) for stage in build(name, outputs=("heatmap",))]
    for stage in build(name):
        assert {(item.output, item.target) for item in stage.objectives} == {("heatmap", "heatmap")}


@pytest.mark.parametrize("outputs", [(), "heatmap", ("heatmap", "heatmap")])
def test_outputs_that_make_no_sense_are_refused(build, outputs):
    with pytest.raises(ConfigurationError, match="names of the student's heatmaps"):
        build("supervised", outputs=outputs)


def test_a_student_that_lacks_an_output_is_refused(build, small_network):
    with pytest.raises(ConfigurationError, match="heatmap_1"):
        Distiller(pose_student(small_network()), build("supervised", outputs=("heatmap", "heatmap_1")))
