from dataclasses import replace

import pytest
import torch

from kdkit import ConfigurationError, Curriculum, Distiller, Epochs, Stage, Supervise, losses
from kdkit.balance import GradientNorm


def losses_of(student, image):
    predictions = student(image)
    losses = {"one": predictions["first"].square().mean(), "two": 50 * predictions["second"].abs().mean()}
    return losses, predictions, {"one": "first", "two": "second"}


def test_at_a_part_the_terms_pull_alike(student, image):
    losses, predictions, outputs = losses_of(student, image)
    balanced = GradientNorm("trunk").balanced(losses, student, predictions, outputs)
    norms = []
    for loss in balanced.values():
        gradients = torch.autograd.grad(loss, list(student.module.trunk.parameters()), retain_graph=True)
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    torch.testing.assert_close(norms[0], norms[1])


def test_measuring_leaves_no_gradient_behind_and_backward_still_works(student, image):
    losses, predictions, outputs = losses_of(student, image)
    balanced = GradientNorm("trunk.weight").balanced(losses, student, predictions, outputs)
    assert all(value.grad is None for value in student.parameters())
    sum(balanced.values()).backward()
    assert all(value.grad is not None for value in student.parameters())


def test_a_term_that_does_not_reach_the_part_keeps_its_size(student, image):
    losses, predictions, outputs = losses_of(student, image)
    balanced = GradientNorm("first").balanced(losses, student, predictions, outputs)
    assert balanced["one"].item() == pytest.approx(losses["one"].item())
    assert balanced["two"].item() == losses["two"].item()


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_each_term_is_measured_anew_after_so_many_steps(every):
    balance = GradientNorm(every=every)
    measured, before = [], {}
    for turn in range(10):
        output = torch.ones(2, requires_grad=True)
        balance.balanced({"a": (turn + 1) * output.sum()}, None, {"x": output}, {"a": "x"})
        after = balance.state_dict()
        if not before or not torch.equal(after["a"], before["a"]):
            measured.append(turn)
        before = after
    assert measured == list(range(0, 10, every))


def test_when_one_term_is_due_all_that_are_present_are_measured_anew():
    balance = GradientNorm(every=3)
    measured, before = [], {}
    for turn in range(9):
        output = torch.ones(2, requires_grad=True)
        # The second term comes a step later.
        losses = {name: (turn + 1) * output.sum() for name in ("a", "b")[: 1 + (turn > 0)]}
        balance.balanced(losses, None, {"x": output}, dict.fromkeys(losses, "x"))
        after = balance.state_dict()
        if not before or not torch.equal(after["a"], before["a"]):
            measured.append(turn)
        before = after
    assert measured == [0, 1, 4, 7]


def test_terms_that_alternate_are_both_measured_again():
    balance = GradientNorm(every=2, decay=0.0)

    def ratio(turn, scale):
        output = torch.ones(2, requires_grad=True)
        other = "a" if turn % 2 == 0 else "b"
        losses = {"truth": output.sum(), other: scale * output.sum()}
        balanced = balance.balanced(losses, None, {"x": output}, dict.fromkeys(losses, "x"))
        return (balanced[other] / balanced["truth"]).item()

    for turn in range(4):
        ratio(turn, 1.0)
    for turn in range(4, 8):
        last = ratio(turn, 9.0)
    assert last == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        (GradientNorm(), r"different outputs, \['first', 'second'\].*part="),
        (GradientNorm("stem"), r"no part 'stem'.*'trunk'"),
        (GradientNorm("tru"), r"no part 'tru'"),
    ],
)
def test_what_cannot_be_measured_says_what_to_do(student, image, balance, words):
    with pytest.raises(ConfigurationError, match=words):
        balance.balanced(
            *(lambda losses, predictions, outputs: (losses, student, predictions, outputs))(
                *losses_of(student, image)
            )
        )


def test_a_frozen_part_is_refused(student, image):
    student.freeze(["trunk"])
    losses, predictions, outputs = losses_of(student, image)
    with pytest.raises(ConfigurationError, match="'trunk' is frozen"):
        GradientNorm("trunk").balanced(losses, student, predictions, outputs)


@pytest.mark.parametrize(
    ("part", "freeze", "words"),
    [
        ("stem", (), "stage 'later', objective 'two': .*no part 'stem'"),
        ("trunk", ("trunk",), "stage 'later', objective 'two': .*'trunk' is frozen"),
        ("trunk.weight", ("trunk",), "'trunk.weight' is frozen"),
    ],
)
def test_a_part_of_a_later_stage_is_looked_for_before_the_first(student, part, freeze, words):
    balanced = Supervise("second", losses.mse, target="b", name="two", balance=GradientNorm(part))
    stages = (
        Stage("first", [Supervise("first", losses.mse, target="a")], until=Epochs(1)),
        Stage("later", [balanced], until=Epochs(1), freeze=freeze),
    )
    with pytest.raises(ConfigurationError, match=words):
        Distiller(student, Curriculum(*stages))


def test_a_part_that_another_stage_freezes_can_be_measured_where_it_trains(student):
    off = Supervise("second", losses.mse, target="b", name="two", balance=GradientNorm("trunk"), weight=0)
    stages = (
        Stage("frozen", [Supervise("first", losses.mse), off], until=Epochs(1), freeze=("trunk",)),
        Stage("thawed", [replace(off, weight=1.0)], until=Epochs(1), freeze=("trunk.bias", "first")),
    )
    assert Distiller(student, Curriculum(*stages)).stage.name == "frozen"
    assert student.trainable(("trunk.bias", "first")) == {"trunk.weight", "second.weight", "second.bias"}


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_every_must_be_a_count(every):
    with pytest.raises(ConfigurationError, match="every"):
        GradientNorm(every=every)
