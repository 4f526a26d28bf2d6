import pytest
import torch
from torch import Tensor

from kdkit import (
    Batch,
    BatchError,
    Binarize,
    ConfigurationError,
    EnsembleTeacher,
    Identity,
    ModuleTeacher,
    Resize,
    Teacher,
    Temperature,
)
from kdkit.transformed_teacher import TransformedTeacher
from kdkit.transforms import Channels, Standardize


class Mirror(Teacher):
    """Gives back what it reads, and notes what it is told."""

    name, reads, outputs = "mirror", ("image", "mask"), ("image", "mask")

    def __init__(self) -> None:
        self.told: list[object] = []

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        return {name: batch[name] for name in self.reads}

    def to(self, device: torch.device) -> "Mirror":
        self.told.append(device)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        return {"state": torch.ones(1)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.told.append(state)


def test_without_transforms_it_is_the_teacher(toy):
    for teacher in (toy.senior(), TransformedTeacher(toy.senior(), outputs={"heatmap": Identity()})):
        wrapped = TransformedTeacher(teacher)
        assert (wrapped.name, wrapped.reads, wrapped.outputs) == ("senior", ("image", "mask"), ("heatmap",))
        assert torch.equal(wrapped.targets(toy.batch())["heatmap"], teacher.targets(toy.batch())["heatmap"])


def test_transforms_what_goes_in_and_what_comes_out(toy):
    teacher = toy.primary()
    wrapped = TransformedTeacher(teacher, inputs={"image": Resize(16, 12)}, outputs={"heatmap": Resize(8, 6)})
    data = toy.batch()
    large = teacher.targets({"image": Resize(16, 12)(data["image"])})["heatmap"]
    assert large.shape == (4, 5, 16, 12)
    assert torch.equal(wrapped.targets(data)["heatmap"], Resize(8, 6)(large))


def test_each_field_and_output_has_its_own_and_others_stay(toy):
    data = toy.batch()
    before = {name: value.clone() for name, value in data.items()}
    wrapped = TransformedTeacher(Mirror(), inputs={"image": Temperature(2.0)}, outputs={"mask": Temperature(0.5)})
    targets = wrapped.targets(data)
    assert torch.equal(targets["image"], data["image"] / 2)
    assert torch.equal(targets["mask"], data["mask"] * 2)
    assert data.keys() == before.keys()
    assert all(torch.equal(data[name], before[name]) for name in before)


def test_a_teacher_of_another_normalization_and_order_sees_the_same_picture(toy):
    picture = torch.rand(2, 3, 8, 6)
    own = Standardize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    of_teacher = Standardize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    # As the teacher was trained: blue first.
    expected = toy.primary().targets({"image": Channels((2, 1, 0))(of_teacher(picture))})["heatmap"]
    change = Standardize(of_teacher.mean, of_teacher.std, own.mean, own.std) >> Channels((2, 1, 0))
    wrapped = TransformedTeacher(toy.primary(), inputs={"image": change})
    torch.testing.assert_close(wrapped.targets({"image": own(picture)})["heatmap"], expected, atol=1e-5, rtol=1e-5)


def test_transforms_carry_no_gradient(toy):
    image = torch.rand(2, 3, 8, 6, requires_grad=True)
    wrapped = TransformedTeacher(Mirror(), inputs={"image": Temperature(2.0)}, outputs={"image": Temperature(2.0)})
    assert not wrapped.targets({"image": image, "mask": image})["image"].requires_grad


def test_brings_teachers_of_other_sizes_into_an_ensemble(toy):
    coarse = ModuleTeacher("coarse", torch.nn.Conv2d(3, 5, 2, stride=2), "image", "heatmap")
    small = TransformedTeacher(coarse, outputs={"heatmap": Resize(8, 6)})
    ensemble = EnsembleTeacher("both", [toy.primary(), small])
    expected = (toy.primary().targets(toy.batch())["heatmap"] + small.targets(toy.batch())["heatmap"]) / 2
    torch.testing.assert_close(ensemble.targets(toy.batch())["heatmap"], expected)


def test_hands_everything_else_on(toy):
    teacher = Mirror()
    wrapped = TransformedTeacher(teacher, name="other")
    assert wrapped.name == "other"
    assert teacher.name == "mirror"
    assert wrapped.to(torch.device("cpu")) is wrapped
    assert wrapped.members == (teacher,)
    wrapped.load_state_dict(wrapped.state_dict())
    assert teacher.told == [torch.device("cpu"), {"state": torch.ones(1)}]
    primary = toy.primary()
    assert list(TransformedTeacher(primary).parameters()) == list(primary.parameters())


def test_repr_tells_the_transforms():
    assert repr(TransformedTeacher(Mirror())) == f"TransformedTeacher({Mirror()!r})"
    wrapped = TransformedTeacher(
        Mirror(), inputs={"image": Resize(4, 3)}, outputs={"mask": Binarize(0.5)}, name="m"
    )
    assert repr(wrapped) == (
        f"TransformedTeacher({Mirror()!r}, inputs={{'image': Resize(height=4, width=3, mode='bilinear')}}, "
        f"outputs={{'mask': Binarize(threshold=0.5)}}, name='m')"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": {"depth": Identity()}}, r"no input 'depth' to transform, only \['image', 'mask'\]"),
        ({"outputs": {"depth": Identity()}}, r"no output 'depth' to transform, only \['image', 'mask'\]"),
        ({"inputs": {"image": torch.sigmoid}}, "not a TargetTransform"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ConfigurationError, match=f"teacher 'mirror'.*{message}"):
        TransformedTeacher(Mirror(), **options)


def test_only_a_teacher_is_wrapped():
    with pytest.raises(ConfigurationError, match="Identity is not a Teacher"):
        TransformedTeacher(torch.nn.Identity())


def test_unfit_batches_are_named():
    wrapped = TransformedTeacher(Mirror(), inputs={"image": Resize(4, 3)}, outputs={"mask": Resize(4, 3)})
    with pytest.raises(BatchError, match="teacher 'mirror' reads the field 'image'"):
        wrapped.targets({"mask": torch.zeros(1, 1, 2, 2)})
    with pytest.raises(BatchError, match="teacher 'mirror', input 'image': Resize"):
        wrapped.targets({"image": torch.zeros(1, 3), "mask": torch.zeros(1, 1, 2, 2)})
    with pytest.raises(BatchError, match="teacher 'mirror', output 'mask': Resize"):
        wrapped.targets({"image": torch.zeros(1, 3, 2, 2), "mask": torch.zeros(1, 2)})
