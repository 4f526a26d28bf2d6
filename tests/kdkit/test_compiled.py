"""A compiled student learns as the student does as it is: what has no gradient there has none here."""

import pytest
import torch

from kdkit import (
    Alternate,
    Curriculum,
    Distiller,
    Epochs,
    Linear,
    Peers,
    Stage,
    Student,
    Supervise,
    Uncertainty,
    losses,
)


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()


def peers(toy) -> Student:
    """Two networks that share nothing, in eval mode so that nothing is drawn."""
    return Student(Peers({"a": toy.network(seed=1), "b": toy.network(seed=2)}), outputs=("a", "b")).eval()


def learning(output: str, **options) -> Supervise:
    return Supervise(output, losses.mse, target="heatmap", **options)


def distiller(student: Student, *objectives: Supervise) -> Distiller:
    return Distiller(student, Curriculum(Stage("only", objectives, Epochs(1))))


def gradients(made: Distiller, toy) -> dict[str, torch.Tensor | None]:
    made.student.zero_grad()
    made(toy.batch()).total.backward()
    return {name: value.grad for name, value in made.student.named_parameters()}


def assert_same_gradients(found, expected) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name] is None) == (value is None), name
        if value is not None:
            torch.testing.assert_close(found[name], value)


def test_an_output_that_nothing_learns_from_has_no_gradient(toy):
    student = peers(toy)
    expected = gradients(distiller(student, learning("a")), toy)
    assert {name.split(".")[1] for name, value in expected.items() if value is None} == {"b"}
    assert_same_gradients(gradients(distiller(student, learning("a")).compile(backend="aot_eager"), toy), expected)


def test_objectives_that_take_turns_do_so_compiled(toy):
    student = peers(toy)
    objectives = [learning("a", weight=Alternate((1.0, 0.0))), learning("b", weight=Alternate((0.0, 1.0)))]
    eager = distiller(student, *objectives)
    expected = []
    for _ in range(3):
        expected.append(gradients(eager, toy))
        eager.advance()
    compiled = distiller(student, *objectives).compile(backend="aot_eager")
    for gradient in expected:
        assert_same_gradients(gradients(compiled, toy), gradient)
        compiled.advance()


def test_while_no_weight_counts_the_loss_can_be_differentiated(toy):
    made = distiller(peers(toy), learning("a", weight=Linear(0.0, 1.0))).compile(backend="aot_eager")
    made.curriculum.steps_per_epoch = 2
    assert all(value is None or not value.any() for value in gradients(made, toy).values())
    made.advance()
    assert any(value is not None and value.any() for value in gradients(made, toy).values())


def test_a_learned_balance_learns(toy):
    student = peers(toy)
    expected = gradients(distiller(student, learning("a", balance=Uncertainty())), toy)
    made = distiller(student, learning("a", balance=Uncertainty())).compile(backend="aot_eager")
    found = gradients(made, toy)
    assert_same_gradients(found, expected)
    assert any(value is not None and value.any() for name, value in found.items() if "balance" in name)


def test_another_distiller_of_the_same_student_is_not_bound_by_it(toy):
    student = peers(toy)
    gradients(distiller(student, learning("a")).compile(backend="aot_eager"), toy)
    found = gradients(distiller(student, learning("b")), toy)
    assert any(value is not None and value.any() for value in found.values())
