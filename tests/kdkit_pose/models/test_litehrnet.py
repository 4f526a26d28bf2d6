import hashlib

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from kdkit_pose import models
from kdkit_pose.models.litehrnet_layers import interleave
from kdkit_pose.models.litehrnet_modules import ExchangeModule, IterativeHead
from kdkit_pose.models.litehrnet_weighting import CrossResolutionWeighting

# From the official repository's table: name, parameters in millions, "MFLOPs" at 256x192 and at 384x288.
PUBLISHED = [
    ("litehrnet_18", 1.1, 205.2, 461.6),
    ("litehrnet_30", 1.8, 319.2, 717.8),
]
# name, entries, parameters, multiply-accumulates of convolutions at 256x192, digest of names and shapes
EXACT = [
    (
        *("litehrnet_18", 1418, 1_130_769, 198_626_688),
        "9f7c17aeb4b551bc355165a90b7522a54cb795ae2499e6618dfcf256d310b8df",
    ),
    (
        *("litehrnet_30", 2360, 1_763_717, 309_451_488),
        "789e4d8be9d5f2298117e42fa2d89c9a8bb7c9e6bb50095dd8b400f6762c9404",
    ),
]


def torchstat_operations(model: nn.Module, height: int, width: int) -> int:
    """Count as torchstat, the official repository's counter, does.

    That is a multiply-accumulate of a convolution as one, and so its bias; two for each value that is normalised,
    one for each that is rectified or upsampled; nothing for pooling, gates, sums, and what rectifies the sums.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            per_value = module.weight[0].numel() + (module.bias is not None)
            rectified = module in before_relu
            total += output.numel() * (per_value + rectified)
        elif isinstance(module, nn.BatchNorm2d):
            total += 2 * output.numel()
        elif isinstance(module, nn.ReLU | nn.Upsample):
            total += output.numel()

    before_relu = {module.conv for module in model.modules() if getattr(module, "activation", None) is torch.relu}
    hooks = [module.register_forward_hook(count) for module in model.modules()]
    model(torch.empty(1, 3, height, width, device="meta"))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize(("name", "millions", "small", "large"), PUBLISHED)
def test_has_the_published_size(name: str, millions: float, small: float, large: float) -> None:
    with torch.device("meta"):
        model = models.create(name).eval()
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == millions
    # It divides by 2^20. What the authors counted otherwise is not known; it is about 0.2 %.
    assert torchstat_operations(model, 256, 192) / 2**20 == pytest.approx(small, rel=0.003)
    assert torchstat_operations(model, 384, 288) / 2**20 == pytest.approx(large, rel=0.003)


@pytest.mark.parametrize(("name", "entries", "parameters", "macs", "digest"), EXACT)
def test_is_the_published_network_exactly(
    name: str, entries: int, parameters: int, macs: int, digest: str
) -> None:
    with torch.device("meta"):
        model = models.create(name).eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert len(shapes) == entries
    # all of them, as they were compared with those of mmpose 1.3.2's LiteHRNet and a final layer
    listing = "\n".join(f"{key} {shapes[key]}" for key in sorted(shapes))
    assert hashlib.sha256(listing.encode()).hexdigest() == digest
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 256, 192, device="meta"))
    # a multiply-accumulate is counted as two operations
    assert counter.get_total_flops() == 2 * macs


def test_entries_are_named_as_in_the_official_repository() -> None:
    with torch.device("meta"):
        model = models.create("litehrnet_18")
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert model.title == "Lite-HRNet-18"
    assert shapes["stem.conv1.conv.weight"] == (32, 3, 3, 3)
    assert shapes["stem.branch1.1.bn.weight"] == (16,)
    assert shapes["transition0.0.2.weight"] == (40, 32, 1, 1)
    assert shapes["transition2.3.0.3.running_mean"] == (320,)
    assert shapes["stage1.3.layers.1.cross_resolution_weighting.conv1.conv.weight"] == (17, 140, 1, 1)
    assert shapes["stage2.1.layers.0.spatial_weighting.3.conv2.conv.bias"] == (160,)
    assert shapes["stage2.0.fuse_layers.3.0.1.2.weight"] == (40, 40, 1, 1)
    assert shapes["stage2.0.fuse_layers.0.3.0.weight"] == (40, 320, 1, 1)
    assert shapes["head_layer.projects.0.pointwise_conv.conv.weight"] == (160, 320, 1, 1)
    assert shapes["final_layer.weight"] == (17, 40, 1, 1)


def test_interleaving_is_the_channel_shuffle() -> None:
    first, second = torch.randn(2, 2, 6, 4, 3).unbind()
    expected = functional.channel_shuffle(torch.cat([first, second], dim=1), groups=2)
    assert torch.equal(interleave(first, second), expected)


def pyramid(*channels: int) -> list[Tensor]:
    """Return branches of a 96x64 image."""
    return [torch.randn(2, count, 24 // 2**level, 16 // 2**level) for level, count in enumerate(channels)]


def test_weights_over_resolutions_are_those_of_adaptive_pooling() -> None:
    weighting = CrossResolutionWeighting((20, 40, 80)).eval()
    branches = pyramid(20, 40, 80)
    smallest = branches[-1].shape[-2:]
    pooled = torch.cat([functional.adaptive_avg_pool2d(branch, smallest) for branch in branches], dim=1)
    gates = weighting.conv2(weighting.conv1(pooled)).split((20, 40, 80), dim=1)
    for found, branch, gate in zip(weighting(branches), branches, gates, strict=True):
        assert 0 < gate.min() < gate.max() < 1
        torch.testing.assert_close(found, branch * functional.interpolate(gate, branch.shape[-2:]))


def test_sums_over_resolutions_are_the_published_ones() -> None:
    module = ExchangeModule((8, 16, 32), blocks=0).eval()
    branches = pyramid(8, 16, 32)
    expected = []
    state = [branch.clone() for branch in branches]
    for target, layers in enumerate(module.fuse_layers):
        # the official code, whose first sum is written over the branch that the others read
        total = state[0] if target == 0 else layers[0](state[0])
        for source, layer in enumerate(layers):
            total += state[source] if source == target else layer(state[source])
        expected.append(total.relu())
    # The first sum is rectified after the others have read it.
    for found, wanted in zip(module(branches), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_head_joins_neighbours_by_aligned_corners() -> None:
    head = IterativeHead((8, 16)).eval()
    high, low = pyramid(8, 16)
    below = head.projects[0](low)
    joined = high + functional.interpolate(below, scale_factor=2, mode="bilinear", align_corners=True)
    torch.testing.assert_close(head([high, low]), head.projects[1](joined))
