from collections.abc import Callable

import pytest
import torch
from torch import nn

from kdkit import fast_teacher
from kdkit_pose import MaskAwareTeacher, models

BATCHNORMS = {
    "hrnet_w8_small": (58, 58),
    "simplebaseline_resnet18": (23, 23),
    "simplebaseline_mobilenetv2_100": (54, 54),
    "hourglass4_128": (123, 182),
    "lpn_50": (56, 56),
    "litehrnet_18": (204, 204),
}
"""How many are folded, of how many; an hourglass's blocks have theirs before the convolutions."""


def check(network: nn.Module, folded: int, total: int) -> None:
    generator = torch.Generator().manual_seed(1)
    batch = {
        "image": torch.randn(2, 3, 64, 64, generator=generator),
        "mask": torch.rand(2, 1, 64, 64, generator=generator),
    }
    teacher = MaskAwareTeacher("teacher", network)
    fast = fast_teacher(teacher, batch, compile=False)
    assert fast.reads == teacher.reads
    folding = fast.conversions[0].folding
    assert (folding.folded, folding.batchnorms) == (folded, total)
    assert fast.agreement.outputs["heatmap"].relative < 1e-5
    exact, found = teacher.targets(batch)["heatmap"], fast.targets(batch)["heatmap"]
    assert exact.std() > 0.01
    torch.testing.assert_close(found / exact.std(), exact / exact.std(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", BATCHNORMS)
def test_every_family_can_be_made_fast(name: str, random_weights: Callable[[nn.Module], nn.Module]):
    check(random_weights(models.create(name)), *BATCHNORMS[name])


@pytest.mark.parametrize("fusion", ["concat", "multiply", "add"])
def test_so_can_the_senior_teacher(fusion: str, random_weights: Callable[[nn.Module], nn.Module]):
    check(random_weights(models.create("hrnet_w8_small", mask_fusion=fusion)), 58, 58)
