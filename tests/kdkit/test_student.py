import pytest
import torch
from torch import nn

from kdkit import (
    Adaptor,
    BatchError,
    ConfigurationError,
    Curriculum,
    Distiller,
    Epochs,
    Stage,
    Student,
    Supervise,
    losses,
)


def test_the_network_is_neither_wrapped_nor_changed(toy):
    network = toy.network()
    kind, names = type(network), list(network.state_dict())
    student = Student(network, "image", "heatmap")
    assert student.module is network
    assert type(network) is kind
    assert list(student.module.state_dict()) == names


def test_adaptors_stand_beside_the_network(toy):
    adaptors = {"wide": Adaptor("heatmap", nn.Conv2d(5, 9, 1))}
    student = Student(toy.network(), "image", "heatmap", adaptors=adaptors)
    assert student.outputs == ("heatmap", "wide")
    outputs = student(toy.batch())
    assert outputs["wide"].shape == (4, 9, 8, 6)
    assert not any("wide" in name for name in student.module.state_dict())
    assert {name for name, _ in student.named_parameters() if "adaptors" in name} == {
        "adaptors.wide.weight",
        "adaptors.wide.bias",
    }
    outputs["wide"].sum().backward()
    assert student.adaptors["wide"].weight.grad is not None


@pytest.mark.parametrize(("name", "source"), [("wide", "depth"), ("heatmap", "heatmap"), ("a.b", "heatmap")])
def test_adaptors_must_fit(toy, name, source):
    with pytest.raises(ConfigurationError, match="adaptor"):
        Student(toy.network(), "image", "heatmap", adaptors={name: Adaptor(source, nn.Identity())})


def test_a_missing_field_is_named(toy):
    with pytest.raises(BatchError, match=r"the student reads the field 'image'.*it holds: mask"):
        toy.student()({"mask": torch.zeros(1, 1, 2, 2)})


def test_freezing_stops_gradients_and_statistics_and_thaws_again(toy):
    student = toy.student()
    student.train()
    student.freeze(["0", "1"])
    before = student.module[1].running_mean.clone()
    student(toy.batch())["heatmap"].sum().backward()
    assert torch.equal(student.module[1].running_mean, before)
    assert student.module[0].weight.grad is None
    assert student.module[4].weight.grad is not None
    student.train()
    assert not student.module[1].training
    student.freeze([])
    student.train()
    assert student.module[1].training
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_what_the_user_froze_stays_frozen(toy):
    network = toy.network()
    network[0].weight.requires_grad_(False)
    student = Student(network, "image", "heatmap")
    student.freeze(["4"])
    student.freeze([])
    assert not network[0].weight.requires_grad
    assert network[4].weight.requires_grad


def test_a_part_that_is_not_there_is_named(toy):
    with pytest.raises(ConfigurationError, match=r"the part 'stem' to freeze is not in the student.*'0', '1'"):
        toy.student().freeze(["stem"])


def test_what_is_required_must_be_an_output(toy):
    assert Student(toy.network(), required="heatmap").required == ("heatmap",)
    with pytest.raises(ConfigurationError, match="no output 'heatmap_1' to require"):
        Student(toy.network(), required=("heatmap", "heatmap_1"))


def test_every_stage_names_what_is_required(toy):
    features = {"early": "0", "late": "2"}
    student = Student(toy.network(), features=features, required=("heatmap", "late"))
    both = Stage(
        "both",
        [Supervise("heatmap", losses.mse), Supervise("late", losses.mse, target="heatmap", weight=0)],
        until=Epochs(1),
    )
    one = Stage("one", [Supervise("heatmap", losses.mse)], until=Epochs(1))
    Distiller(student, Curriculum(both))
    with pytest.raises(ConfigurationError, match=r"stage 'one' has no objective for late, .*weight=0"):
        Distiller(student, Curriculum(both, one))


def test_two_outputs_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match="two outputs of one name"):
        Student(nn.Conv2d(3, 5, 1), outputs=("a", "a"))
