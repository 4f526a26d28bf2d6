import pytest
from torch import nn

from kdkit import (
    Binarize,
    Condition,
    Curriculum,
    Distill,
    Epochs,
    Linear,
    ModuleTeacher,
    Plateau,
    Reached,
    RunEpochs,
    RunSteps,
    Stage,
    Steps,
    Supervise,
    Truncate,
    losses,
)
from kdkit.balance import GradientNorm, Magnitude
from kdkit.plan import WIDTH, condition_words
from kdkit.weighting import Confidence, EasyFirst
from kdkit_pose import recipes


def teacher(name="senior", reads=("image", "mask")):
    return ModuleTeacher(name, nn.Conv2d(3, 17, 1), reads, "heatmap")


def lines(curriculum):
    return [" ".join(line.split()) for line in str(curriculum).splitlines()]


def test_a_plan_says_everything_once():
    rate = Linear(1e-3, 0, over="run")
    curriculum = Curriculum(
        Stage("plain", [Supervise("heatmap", losses.mse, region="visible")], Epochs(30), warmup_steps=500),
        Stage(
            "taught",
            [
                Supervise("heatmap", losses.mse, weight=0.5, transform=Binarize(0.5)),
                Distill(teacher(), "heatmap", losses.l1, weight=Linear(0, 1), reduction="weighted_mean"),
                Distill(teacher("off"), "heatmap", losses.l1, weight=0),
            ],
            Epochs(10) | Plateau("val/AP", 3),
            learning_rate=rate,
            optimizer="fresh",
            freeze=["conv1", "bn1"],
        ),
    )
    assert lines(curriculum) == [
        "Curriculum of 2 stages, 40 epochs; at its start",
        "",
        "-> 1. plain: 30 epochs (75 % of the run)",
        "on entry warm-up over 500 steps",
        "objective weight loss region transform",
        "supervise/heatmap 1 mse visible",
        "",
        "2. taught: until 10 epochs or val/AP not better for 3 evaluations (at most 25 % of the run)",
        "teachers senior (image, mask -> heatmap)",
        "on entry learning rate 0.001 -> 0, linear over the run; a fresh optimizer; frozen: conv1, bn1",
        "objective weight loss region transform",
        "supervise/heatmap 0.5 mse Binarize(threshold=0.5)",
        "distill/senior/heatmap 0 -> 1, linear l1, weighted_mean",
        "distill/off/heatmap 0 (off) l1",
    ]


def test_the_mark_follows_the_cursor_and_reading_moves_nothing():
    curriculum = Curriculum(*(Stage(name, [Supervise("x", losses.mse)], Steps(2)) for name in ("a", "b")))
    for head, marked in (
        ("at its start", "-> 1. a"),
        ("in stage 1, after 0 epochs and 1 step of it", "-> 1. a"),
        ("in stage 2, after 0 epochs and 0 steps of it", "-> 2. b"),
        ("in stage 2, after 0 epochs and 1 step of it", "-> 2. b"),
    ):
        before = curriculum.state_dict()
        found = lines(curriculum)
        assert curriculum.state_dict() == before
        assert found[0] == f"Curriculum of 2 stages, 4 steps; {head}"
        assert [line[:7] for line in found if "->" in line] == [marked]
        curriculum.advance()
    assert lines(curriculum)[0].endswith("finished after 0 epochs, 4 steps")
    assert "->" not in str(curriculum)


def test_without_common_lengths_there_are_no_shares():
    lengths = {"a": Epochs(2), "b": Steps(9)}
    curriculum = Curriculum(*(Stage(name, [Supervise("x", losses.mse)], until) for name, until in lengths.items()))
    assert "%" not in str(curriculum)
    assert lines(curriculum)[0] == "Curriculum of 2 stages; at its start"


def test_what_may_end_early_and_what_makes_up_for_it():
    plateau = Plateau("AP", 2)
    conditions = (Epochs(5) | plateau, RunEpochs(8) | plateau, RunEpochs(10))
    curriculum = Curriculum(
        *(Stage(str(place), [Supervise("x", losses.mse)], until) for place, until in enumerate(conditions))
    )
    assert [line.partition(": ")[2] for line in lines(curriculum) if "of the run" in line] == [
        "until 5 epochs or AP not better for 2 evaluations (at most 50 % of the run)",
        "until 8 epochs of the run or AP not better for 2 evaluations (about 30 % of the run)",
        "until 10 epochs of the run (at least 20 % of the run)",
    ]
    exact = Curriculum(
        *(Stage(str(n), [Supervise("x", losses.mse)], until) for n, until in enumerate((Epochs(1), RunEpochs(4))))
    )
    assert "1: until 4 epochs of the run (75 % of the run)" in str(exact)


def test_balances_that_are_two_objects_are_told_apart():
    one, other, alone = Magnitude(), Magnitude(), GradientNorm()
    objectives = [
        Supervise("x", losses.mse, name=str(place), balance=balance)
        for place, balance in enumerate((one, other, one, alone, None))
    ]
    found = [line.split("mse ")[-1] for line in lines(Curriculum(Stage("a", objectives, Epochs(1))))[-5:]]
    assert found == [
        "Magnitude(decay=0.99) no. 1",
        "Magnitude(decay=0.99) no. 2",
        "Magnitude(decay=0.99) no. 1",
        "GradientNorm(part='', decay=0.9, every=1)",
        "4 1 mse",
    ]


def test_regions_that_are_multiplied_are_all_named():
    regions = ("visible", EasyFirst(Confidence("probability"), Linear(0.5, 1.0)))
    text = str(Curriculum(Stage("a", [Supervise("x", losses.mse, region=regions)], Epochs(1))))
    assert "visible x EasyFirst(" in " ".join(text.split())


class Never(Condition):
    def met(self, progress):
        return False

    def __repr__(self):
        return "Never()"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Epochs(1), "1 epoch"),
        (Steps(5), "5 steps"),
        (Reached("AP", 0.5), "AP at least 0.5"),
        (Reached("loss", 2, mode="min") & Epochs(3), "loss at most 2 and 3 epochs"),
        (Plateau("AP", 1) | Epochs(9) | Steps(4), "AP not better for 1 evaluation or 9 epochs or 4 steps"),
        ((Epochs(2) | Steps(9)) & Reached("AP", 1), "(2 epochs or 9 steps) and AP at least 1"),
        (RunEpochs(9) | RunSteps(1), "9 epochs of the run or 1 step of the run"),
        (Never(), "Never()"),
    ],
)
def test_conditions_in_words(condition, words):
    assert condition_words(condition) == words


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_recipe_fits_the_width_and_names_all(name):
    count = {"supervised": 0, "odkd": 2, "reversed_order": 2, "joint": 2}.get(name, 1)
    curriculum = getattr(recipes, name)(*[teacher("primary", ("image",)), teacher()][:count])
    text = str(curriculum)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert all(objective.name in text for stage in curriculum for objective in stage.objectives)
    assert all(one.name in text for stage in curriculum for one in stage.teachers)


def test_long_cells_are_folded_and_nothing_is_read_as_markup():
    transform = Truncate(0.1) >> Truncate(0.2) >> Truncate(0.3) >> Truncate(0.4) >> Binarize(0.5)
    objectives = [Supervise("heatmap", losses.mse, name=f"[bold]{'long ' * 12}", region=lambda batch: batch["x"])]
    objectives.append(Supervise("heatmap", losses.mse, transform=transform))
    text = str(Curriculum(Stage("a", objectives, Epochs(1))))
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "[bold]" in text
    unbroken = str(Curriculum(Stage("a", [Supervise("x", losses.mse, name="n" * 300)], Epochs(1))))
    assert max(len(line) for line in unbroken.splitlines()) == WIDTH
    assert "<lambda>" in text
    assert all(str(floor) in text for floor in (0.1, 0.2, 0.3, 0.4, 0.5))
    assert "0x" not in text
