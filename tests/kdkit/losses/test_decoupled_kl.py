"""Decoupled distillation: its relation to the undivided one, its labels, its extremes."""

import pytest
import torch
from torch import Tensor

from kdkit import BatchError, ConfigurationError, losses


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(*shape: int, classes: int = 5) -> Tensor:
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_its_parts_make_up_the_undivided_divergence(temperature):
    """KD = TCKD + (1 - p) * NCKD, the paper's equation 7."""
    student, teacher, label = draw(2, 5, 3, 4), draw(2, 5, 3, 4, seed=1), labels(2, 3, 4)
    options = {"label": label, "temperature": temperature}
    tckd = losses.decoupled_kl(student, teacher, alpha=1.0, beta=0.0, **options)
    nckd = losses.decoupled_kl(student, teacher, alpha=0.0, beta=1.0, **options)
    sure = torch.softmax(teacher / temperature, 1).gather(1, label.unsqueeze(1))
    whole = losses.channel_kl(student, teacher, temperature=temperature)
    torch.testing.assert_close(tckd + (1 - sure) * nckd, whole)


def test_the_other_classes_part_does_not_see_the_labelled_logit():
    student, teacher, label = draw(4, 5), draw(4, 5, seed=1), labels(4)
    moved = student.scatter_add(1, label.unsqueeze(1), draw(4, 1, seed=2))
    part = {"label": label, "alpha": 0.0}
    torch.testing.assert_close(
        losses.decoupled_kl(moved, teacher, **part), losses.decoupled_kl(student, teacher, **part)
    )


def test_with_two_classes_only_the_labelled_part_is_left():
    student, teacher = draw(4, 2), draw(4, 2, seed=1)
    loss = losses.decoupled_kl(student, teacher, label=labels(4, classes=2), beta=100.0)
    torch.testing.assert_close(loss, losses.channel_kl(student, teacher, temperature=4.0))


def test_an_ignored_label_gives_zero_and_no_gradient():
    student = draw(3, 5).requires_grad_()
    loss = losses.decoupled_kl(student, draw(3, 5, seed=1), label=torch.tensor([2, -100, 0]))
    loss.sum().backward()
    assert (loss[:, 0] == 0).tolist() == [False, True, False]
    assert student.grad[1].abs().max() == 0
    assert student.grad[[0, 2]].abs().amax(1).min() > 0


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_certain_teachers_and_students_are_finite(sign, dtype):
    """A label all but sure, or all but impossible."""
    student = (sign * 3e4 * torch.eye(3)).to(dtype).requires_grad_()
    teacher = (3e4 * torch.eye(3)).to(dtype)
    loss = losses.decoupled_kl(student, teacher, label=torch.tensor([0, 1, 1]))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_labels_may_be_of_any_integer_type(dtype):
    student, teacher, label = draw(4, 5), draw(4, 5, seed=1), labels(4)
    torch.testing.assert_close(
        losses.decoupled_kl(student, teacher, label=label.to(dtype)),
        losses.decoupled_kl(student, teacher, label=label),
    )


@pytest.mark.parametrize(
    ("label", "complaint"),
    [
        (torch.zeros(2, 3, 4), r"label is torch.float32.*integer"),
        (torch.zeros(2, dtype=torch.int64), r"label has shape \(2,\).*\(2, 3, 4\)"),
        (torch.zeros(2, 1, 3, 4, dtype=torch.int64), r"label.squeeze\(1\)"),
        (torch.zeros(2, 6, 8, dtype=torch.int64), r"\(2, 6, 8\).*\(2, 3, 4\).*nearest"),
    ],
)
def test_labels_that_do_not_fit_are_named(label, complaint):
    with pytest.raises(BatchError, match=complaint):
        losses.decoupled_kl(draw(2, 5, 3, 4), draw(2, 5, 3, 4), label=label)


def test_one_class_is_refused():
    with pytest.raises(BatchError, match=r"at least two classes.*bce_with_logits"):
        losses.decoupled_kl(draw(2, 1), draw(2, 1), label=torch.zeros(2, dtype=torch.int64))


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ConfigurationError, match=r"temperature=0\.0"):
        losses.decoupled_kl(draw(2, 3), draw(2, 3), label=torch.zeros(2, dtype=torch.int64), temperature=0.0)
