"""Runs whose teachers, balances, adaptors and regions have a state of their own are resumed to the bit, too."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kdkit import (
    Adaptor,
    Agreement,
    Alternate,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EasyFirst,
    EMATeacher,
    Epochs,
    GradientNorm,
    Imitate,
    Linear,
    Magnitude,
    MaskedGeneration,
    ModuleTeacher,
    Peers,
    Stage,
    Student,
    Supervise,
    Trainer,
    Uncertainty,
    losses,
)

from .interruption import Fragile, Interrupted


def past(toy) -> Distiller:
    """Two epochs of plain training, then self-distillation by the student's moving average."""
    student = toy.student()
    teacher = EMATeacher("past", student, decay=0.7)
    return Distiller(
        student,
        Curriculum(
            Stage("plain", [Supervise("heatmap", losses.mse)], until=Epochs(1)),
            Stage("past", [Supervise("heatmap", losses.mse), Distill(teacher, "heatmap", losses.mse)], Epochs(3)),
        ),
    )


def generated(toy) -> Distiller:
    """Masked generative distillation: an adaptor that draws random masks."""
    teacher = ModuleTeacher("wide", toy.network(width=12), "image", "heatmap", features={"hidden": "2"})
    torch.manual_seed(11)
    adaptors = {"made": Adaptor("hidden", MaskedGeneration(4, 12))}
    student = Student(toy.network(width=4), features={"hidden": "2"}, adaptors=adaptors)
    objectives = [
        Supervise("heatmap", losses.mse),
        Distill(teacher, "made", losses.masked_generative, target="hidden"),
    ]
    return Distiller(student, Curriculum(Stage("generated", objectives, Epochs(4))))


def balanced(toy, balance: Callable[[], object]) -> Distiller:
    """Both teachers by turns, easy samples first, terms balanced."""
    shared = balance()
    easy = EasyFirst(Agreement("heatmap", losses.mse), fraction=Linear(0.5, 1.0))
    primary, senior = toy.primary(), toy.senior()
    objectives = [
        Supervise("heatmap", losses.mse, balance=shared),
        Distill(primary, "heatmap", losses.mse, weight=Alternate((1.0, 0.0)), region=easy, balance=shared),
        Distill(senior, "heatmap", losses.l1, weight=Alternate((0.0, 1.0)), balance=shared),
    ]
    return Distiller(toy.student(), Curriculum(Stage("both", objectives, Epochs(4))))


def mutual(toy) -> Distiller:
    """Two students that teach each other."""
    student = Student(Peers({"a": toy.network(seed=1), "b": toy.network(seed=2)}), outputs=("a", "b"))
    objectives = [
        Supervise("a", losses.mse, target="heatmap"),
        Supervise("b", losses.mse, target="heatmap"),
        Imitate("b", "a", losses.mse),
        Imitate("a", "b", losses.mse),
    ]
    return Distiller(student, Curriculum(Stage("mutual", objectives, Epochs(4))))


DISTILLERS = {
    "past": past,
    "generated": generated,
    "magnitude": partial(balanced, balance=Magnitude),
    "gradient norm": partial(balanced, balance=partial(GradientNorm, every=2)),
    "uncertainty": partial(balanced, balance=Uncertainty),
    "mutual": mutual,
}


def trainer(toy, make, out: Path, loader=None) -> Trainer:
    adam = partial(torch.optim.Adam, lr=1e-2)
    distiller = make(toy)
    torch.manual_seed(7)
    loader = toy.loader() if loader is None else loader
    return Trainer(distiller, loader, optimizer=adam, out=out, checkpoint_steps=1, cpu=True, progress=False)


@pytest.mark.parametrize("make", DISTILLERS.values(), ids=DISTILLERS)
@pytest.mark.parametrize("crash_at", [1, 4, 8])
def test_resumed_equals_never_stopped_to_the_bit(toy, tmp_path, make, crash_at):
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    trainer(toy, make, straight).fit()
    with pytest.raises(Interrupted):
        trainer(toy, make, resumed, Fragile(toy.loader(), crash_at)).fit()
    torch.manual_seed(12345)
    trainer(toy, make, resumed).fit()
    one, other = (torch.load(run / "checkpoints" / "last.pt", weights_only=True) for run in (straight, resumed))
    for part in ("network", "adaptors"):
        assert one[part].keys() == other[part].keys()
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    assert repr(one["distiller"]) == repr(other["distiller"])


@pytest.mark.parametrize("make", DISTILLERS.values(), ids=DISTILLERS)
def test_the_export_is_the_bare_network(toy, tmp_path, make):
    result = trainer(toy, make, tmp_path).fit()
    assert load_file(result.student).keys() == make(toy).student.module.state_dict().keys()


@pytest.mark.parametrize("name", ["generated", "uncertainty"])
def test_what_stands_beside_the_student_trains(toy, tmp_path, name):
    made = DISTILLERS[name](toy)
    before = {key: value.detach().clone() for key, value in made.student.adaptors.named_parameters()}
    trainer(toy, lambda _: made, tmp_path).fit()
    assert before
    for key, value in made.student.adaptors.named_parameters():
        assert not torch.equal(value.detach(), before[key]), key


def test_an_optimizer_that_lacks_an_adaptor_is_refused(toy, tmp_path):
    student = toy.student()
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    stage = Stage("one", [Supervise("heatmap", losses.mse, balance=Uncertainty())], Epochs(1))
    distiller = Distiller(student, Curriculum(stage))
    with pytest.raises(ConfigurationError, match=r"does not hold the adaptor's parameter 'balance:0"):
        Trainer(distiller, toy.loader(), optimizer=optimizer, out=tmp_path, cpu=True)
