import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kdkit import Adaptor, ConfigurationError, ModuleTeacher, Student
from kdkit.adaptors import ResizeTo

sizes = st.integers(1, 9)


@given(st.tuples(sizes, sizes, sizes), st.tuples(sizes, sizes, sizes))
def test_between_brings_any_map_to_any_other(own, wanted):
    adaptor = Adaptor.between("neck", (2, *own), (2, *wanted))
    assert adaptor.module(torch.zeros(2, *own)).shape == (2, *wanted)


@given(sizes, sizes)
def test_between_brings_vectors_and_tokens(own, wanted):
    assert Adaptor.between("neck", (3, own), (3, wanted)).module(torch.zeros(3, own)).shape == (3, wanted)
    tokens = Adaptor.between("neck", (3, 5, own), (3, 5, wanted))
    assert tokens.module(torch.zeros(3, 5, own)).shape == (3, 5, wanted)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (2, 6, 3)])
def test_equal_shapes_train_nothing_and_change_nothing(shape):
    module = Adaptor.between("neck", shape, shape).module
    values = torch.rand(shape)
    assert torch.equal(module(values), values)
    assert not list(module.parameters())


@pytest.mark.parametrize(
    ("own", "wanted"), [((2, 3), (2, 3, 4, 4)), ((2, 5, 3), (2, 6, 3)), ((2, 3, 1, 1, 1), (2, 3, 1, 1, 1))]
)
def test_what_cannot_be_adapted_is_named(own, wanted):
    with pytest.raises(ConfigurationError, match="no adaptor brings 'neck'"):
        Adaptor.between("neck", own, wanted)


def test_the_makers():
    assert Adaptor.conv("neck", 4, 7).module(torch.zeros(1, 4, 3, 3)).shape == (1, 7, 3, 3)
    assert Adaptor.linear("neck", 4, 7).module(torch.zeros(1, 4)).shape == (1, 7)
    assert Adaptor.resize("neck", 5, 6).module(torch.zeros(1, 4, 3, 3)).shape == (1, 4, 5, 6)
    with pytest.raises(ConfigurationError, match="0x6"):
        Adaptor.resize("neck", 0, 6)


def test_resizing_keeps_a_constant():
    assert torch.allclose(ResizeTo(3, 8)(torch.full((1, 2, 6, 4), 0.7)), torch.tensor(0.7))


def test_a_student_is_adapted_to_a_teacher_by_one_batch(toy):
    deep = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.Conv2d(12, 5, 1))
    teacher = ModuleTeacher("deep", deep, "image", "heatmap", features={"stem": "0"})
    student = Student(toy.network(), features={"hidden": "2"})
    student.train()
    before = {name: value.clone() for name, value in student.module.state_dict().items()}
    batch = toy.batch()
    adaptor = student.adapt("stem", "hidden", teacher, batch, target="stem")
    assert student.adaptors["stem"] is adaptor.module
    assert student(batch)["stem"].shape == teacher.targets(batch)["stem"].shape
    assert student.module[1].training
    assert all(torch.equal(value, before[name]) for name, value in before.items())
    with pytest.raises(ConfigurationError, match="teacher 'deep' has no output 'neck'"):
        student.adapt("other", "hidden", teacher, batch, target="neck")
    with pytest.raises(ConfigurationError, match="the student has no output 'hiden'"):
        student.adapt("other", "hiden", teacher, batch)


def test_an_adaptor_is_attached_and_taken_away(toy):
    student = Student(toy.network(), features={"hidden": "2"})
    student.attach("wide", Adaptor.conv("hidden", 8, 16))
    with pytest.raises(ConfigurationError, match="its name must differ"):
        student.attach("wide", Adaptor.conv("hidden", 8, 16))
    student.detach("wide")
    assert student.outputs == ("heatmap", "hidden")
    student.detach("wide")
    student.attach("wide", Adaptor.conv("hidden", 8, 32))
    assert student(toy.batch())["wide"].shape[1] == 32
