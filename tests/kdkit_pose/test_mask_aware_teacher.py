import pytest
import torch
from torch import nn

from kdkit import BatchError, ConfigurationError
from kdkit_pose import MaskAwareTeacher

FUSIONS = ("concat", "multiply", "add")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, 64, 32, generator=generator)
    return {"image": image, "mask": torch.ones(2, 1, 64, 32)}


def test_without_a_fusion_only_the_image_is_read(small_network, batch):
    teacher = MaskAwareTeacher("primary", small_network())
    assert teacher.reads == ("image",)
    expected = teacher.targets(batch)["heatmap"]
    assert torch.equal(teacher.targets({"image": batch["image"]})["heatmap"], expected)
    assert torch.equal(teacher.targets({**batch, "mask": batch["mask"] * 0})["heatmap"], expected)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_with_a_fusion_the_mask_is_read_and_matters(small_network, batch, fusion):
    network = small_network(mask_fusion=fusion)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    teacher = MaskAwareTeacher("senior", network)
    assert teacher.reads == ("image", "mask")
    seen = teacher.targets(batch)["heatmap"]
    assert seen.shape == (2, 17, 16, 8)
    assert not torch.equal(seen, teacher.targets({**batch, "mask": batch["mask"] * 0})["heatmap"])
    with pytest.raises(BatchError, match="mask"):
        teacher.targets({"image": batch["image"]})


@pytest.mark.parametrize("fusion", ["none", *FUSIONS])
def test_it_equals_its_network_in_eval_mode(small_network, batch, fusion):
    network = small_network(mask_fusion=fusion).train()
    teacher = MaskAwareTeacher("senior", network)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        expected = network(*(batch[name] for name in network.inputs))
    assert torch.equal(teacher.targets(batch)["heatmap"], expected)


def test_several_outputs(small_network, batch):
    teacher = MaskAwareTeacher("senior", small_network(features=("stage2",)), ("heatmap", "stage2"))
    assert set(teacher.targets(batch)) == {"heatmap", "stage2"}


def test_a_network_that_does_not_say_what_it_reads_is_refused():
    with pytest.raises(ConfigurationError, match=r"'senior'.*Conv2d.*ModuleTeacher"):
        MaskAwareTeacher("senior", nn.Conv2d(4, 17, 1))


def test_features_by_module_path(small_network, batch):
    network = small_network(mask_fusion="concat")
    teacher = MaskAwareTeacher("senior", network, features={"fine": "stage3[0]"})
    targets = teacher.targets({**batch, "mask": batch["mask"]})
    assert teacher.outputs == ("heatmap", "fine")
    assert targets["fine"].shape == (2, network.config.width, 16, 8)
