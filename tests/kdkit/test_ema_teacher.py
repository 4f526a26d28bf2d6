import pytest
import torch

from kdkit import (
    CheckpointError,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EMATeacher,
    EnsembleTeacher,
    Stage,
    Steps,
    Student,
    Supervise,
    TransformedTeacher,
    losses,
)


def two_stages(toy, decay: float = 0.5) -> tuple[Distiller, EMATeacher]:
    student = Student(toy.network(), features={"hidden": "2"})
    past = EMATeacher("past", student, decay)
    distiller = Distiller(
        student,
        Curriculum(
            Stage("alone", [Supervise("heatmap", losses.mse)], until=Steps(2)),
            Stage("with its past", [Distill(past, "hidden", losses.mse)], until=Steps(4)),
        ),
    )
    return distiller, past


def weight(module) -> torch.Tensor:
    return module[0].weight.detach().clone()


def move(distiller: Distiller, by: float) -> None:
    with torch.no_grad():
        distiller.student.module[0].weight += by
    distiller.advance()


def test_it_follows_the_student_by_its_definition(toy):
    distiller, past = two_stages(toy)
    move(distiller, 1.0)
    move(distiller, 1.0)
    # The stage with the teacher begins: it is the student as it is at the first batch.
    distiller(toy.batch())
    expected = weight(distiller.student.module)
    torch.testing.assert_close(weight(past.module), expected)
    for _ in range(3):
        move(distiller, 1.0)
        expected = 0.5 * expected + 0.5 * weight(distiller.student.module)
        torch.testing.assert_close(weight(past.module), expected)


def test_it_is_in_eval_mode_without_gradient_and_gives_features(toy):
    distiller, past = two_stages(toy)
    distiller.student.train()
    targets = past.targets(toy.batch())
    assert set(targets) == {"heatmap", "hidden"}
    assert not targets["hidden"].requires_grad
    assert not any(module.training for module in past.module.modules())
    assert not any(value.requires_grad for value in past.parameters())
    assert distiller.student.training


def test_buffers_follow_too(toy):
    distiller, past = two_stages(toy, decay=0.0)
    distiller.student.train()
    for _ in range(3):
        distiller(toy.batch()).total.backward()
        distiller.advance()
    own, followed = past.module.state_dict(), distiller.student.module.state_dict()
    assert own.keys() == followed.keys()
    for name, value in own.items():
        torch.testing.assert_close(value, followed[name])


def test_the_students_gradient_does_not_pass_the_teacher(toy):
    distiller, past = two_stages(toy)
    distiller.advance()
    distiller.advance()
    distiller(toy.batch()).total.backward()
    assert all(value.grad is None for value in past.parameters())


def test_it_starts_from_what_the_student_is_at_the_first_batch(toy):
    distiller, past = two_stages(toy)
    distiller.advance()
    distiller.advance()
    with torch.no_grad():  # as a wrapper does that brings all processes to one start
        distiller.student.module[0].weight.fill_(0.25)
    past.targets(toy.batch())
    assert torch.equal(weight(past.module), weight(distiller.student.module))


def test_its_state_is_part_of_the_run(toy):
    distiller, past = two_stages(toy)
    for _ in range(4):
        move(distiller, 1.0)
    state, student = distiller.state_dict(), distiller.student.state_dict()
    other, again = two_stages(toy)
    other.student.load_state_dict(student)
    other.load_state_dict(state)
    torch.testing.assert_close(weight(again.module), weight(past.module))
    move(distiller, 2.0)
    move(other, 2.0)
    torch.testing.assert_close(weight(again.module), weight(past.module))


def test_mistakes_are_named(toy):
    with pytest.raises(ConfigurationError, match="follows a Student"):
        EMATeacher("past", toy.network())
    with pytest.raises(ConfigurationError, match=r"decay is 1\.0"):
        EMATeacher("past", toy.student(), decay=1.0)
    _, past = two_stages(toy)
    wrong = EMATeacher("past", Student(toy.network(width=9)), 0.5)
    with pytest.raises(CheckpointError, match="'past' is of another network"):
        past.load_state_dict(wrong.state_dict())


def test_it_moves_once_a_step_however_many_teachers_it_is_part_of(toy):
    student = toy.student()
    past = EMATeacher("past", student, 0.5)
    both = EnsembleTeacher("both", [toy.primary(), TransformedTeacher(past, name="seen otherwise")])
    objectives = [Distill(past, "heatmap", losses.mse), Distill(both, "heatmap", losses.mse)]
    distiller = Distiller(student, Curriculum(Stage("past", objectives, until=Steps(2))))
    distiller(toy.batch())
    before = weight(student.module)
    move(distiller, 1.0)
    torch.testing.assert_close(weight(past.module), before + 0.5)


def test_a_frozen_teacher_takes_no_state(toy):
    primary = toy.primary()
    assert primary.state_dict() == {}
    primary.load_state_dict({})
    with pytest.raises(CheckpointError, match="'primary' has no state"):
        primary.load_state_dict({"weight": torch.zeros(1)})


def test_its_repr_is_the_same_in_every_process(toy):
    assert repr(EMATeacher("past", toy.student(), 0.9)) == "EMATeacher('past', Sequential, decay=0.9)"


def test_tied_weights_move_once():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    module[1].weight = module[0].weight
    student = Student(module)
    teacher = EMATeacher("past", student, decay=0.9)
    teacher.targets({"image": torch.zeros(1, 2)})  # it is a copy from now on
    before = module[0].weight.detach().clone()
    with torch.no_grad():
        module[0].weight += 1
    teacher.on_step_end()
    assert teacher.module[0].weight is teacher.module[1].weight
    assert torch.allclose(teacher.module[0].weight, before + 0.1, atol=1e-6)
