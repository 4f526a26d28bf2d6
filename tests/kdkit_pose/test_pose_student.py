import pytest
import torch

from kdkit import ConfigurationError, Distiller
from kdkit_pose import models, pose_student, recipes


def batch(size=32):
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(2, 3, size, size, generator=generator),
        "mask": torch.rand(2, 1, size, size, generator=generator),
    }


def test_a_network_of_one_heatmap_has_one_output(small_network):
    network = small_network().eval()
    student = pose_student(network)
    assert student.outputs == ("heatmap",)
    assert torch.equal(student(batch())["heatmap"], network(batch()["image"]))


def test_a_mask_is_read_where_the_network_does(small_network):
    network = small_network(mask_fusion="multiply").eval()
    assert pose_student(network).reads == ("image", "mask")
    assert torch.equal(pose_student(network)(batch())["heatmap"], network(*batch().values()))


def test_features_are_outputs_too(small_network):
    student = pose_student(small_network(features=("stage3",)))
    assert list(student(batch())) == ["heatmap", "stage3"]


def test_a_stacked_hourglass_gives_the_heatmaps_of_every_stack():
    torch.manual_seed(0)
    config = models.HourglassConfig("small", stacks=3, channels=8, depth=1)
    network = models.StackedHourglass("small", config, 5, features=("stack1", "stack2")).eval()
    outputs = pose_student(network)(batch())
    assert set(outputs) == {*network.heatmap_outputs, "stack1", "stack2"}
    for index in (0, 1):
        assert torch.equal(outputs[f"heatmap_{index + 1}"], network.heatmaps[index](outputs[f"stack{index + 1}"]))
    assert torch.equal(outputs["heatmap"], network(batch()["image"])["heatmap"])
    assert len({value.sum().item() for name, value in outputs.items() if "heatmap" in name}) == 3


def test_the_network_stays_what_it_was():
    config = models.HourglassConfig("small", stacks=2, channels=8, depth=1)
    network = models.StackedHourglass("small", config, 5)
    before = list(network.state_dict())
    pose_student(network)(batch())
    assert list(network.state_dict()) == before
    assert isinstance(network(batch()["image"]), torch.Tensor)


def test_a_curriculum_that_leaves_out_a_stack_is_refused():
    config = models.HourglassConfig("small", stacks=3, channels=8, depth=1)
    network = models.StackedHourglass("small", config, 17)
    with pytest.raises(ConfigurationError, match="no objective for heatmap_1, heatmap_2,"):
        Distiller(pose_student(network), recipes.supervised())
    Distiller(pose_student(network), recipes.supervised(outputs=network.heatmap_outputs))
