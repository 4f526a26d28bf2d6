import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from kdkit.errors import BatchError
from kdkit_pose import models
from kdkit_pose.models import HourglassConfig, StackedHourglass
from kdkit_pose.models.hourglass_blocks import Hourglass
from kdkit_pose.models.identify import identify

TINY = HourglassConfig("tiny", stacks=3, channels=16, depth=2)


@pytest.fixture
def tiny(random_weights) -> StackedHourglass:
    return random_weights(StackedHourglass("tiny", TINY, 5)).eval()


def test_every_stack_but_the_last_has_an_output_of_its_own() -> None:
    model = models.create("hourglass4_128")
    assert model.heatmap_outputs == ("heatmap", "heatmap_1", "heatmap_2", "heatmap_3")
    assert model.intermediate_heatmaps == {f"heatmap_{n + 1}": f"heatmaps.{n}" for n in range(3)}


@pytest.mark.parametrize(("depth", "multiple"), [(1, 8), (4, 64), (5, 128)])
def test_a_deeper_hourglass_needs_larger_multiples(depth: int, multiple: int) -> None:
    with torch.device("meta"):
        model = StackedHourglass("deep", HourglassConfig("deep", stacks=1, channels=8, depth=depth), 5)
        assert model(torch.empty(1, 3, 3 * multiple, multiple)).shape == (1, 5, 3 * multiple // 4, multiple // 4)
        with pytest.raises(BatchError, match=f"multiples of {multiple}$"):
            model(torch.empty(1, 3, multiple, multiple // 2))


def test_features_are_what_each_stacks_heatmaps_are_made_of(tiny: StackedHourglass, image: Tensor) -> None:
    model = StackedHourglass("tiny", TINY, 5, features=("stack3", "stack1")).eval()
    model.load_state_dict(tiny.state_dict())
    seen: list[Tensor] = []
    for head in model.heatmaps:
        head.register_forward_hook(lambda _head, _inputs, output: seen.append(output))
    outputs = model(image)
    assert list(outputs) == ["heatmap", "stack3", "stack1"]
    assert outputs["stack1"].shape == (2, 16, 16, 8)
    assert torch.equal(model.heatmaps[2](outputs["stack3"]), outputs["heatmap"])
    assert torch.equal(model.heatmaps[0](outputs["stack1"]), seen[0])
    assert torch.equal(tiny(image), outputs["heatmap"])


def test_each_stack_sees_the_features_and_heatmaps_of_the_one_before(
    tiny: StackedHourglass, image: Tensor
) -> None:
    before = tiny(image)
    for joints in (tiny.from_heatmaps, tiny.from_features):
        kernel = joints[1].weight
        with torch.no_grad():
            kernel.mul_(2)
            assert not torch.equal(tiny(image), before)
            kernel.div_(2)
            assert torch.equal(tiny(image), before)
    # Without them the last stack sees what the first one does.
    with torch.no_grad():
        for joint in (*tiny.from_heatmaps, *tiny.from_features):
            joint.weight.zero_()
            joint.bias.zero_()
        for index in (1, 2):
            for part in (tiny.hourglasses, tiny.residuals, tiny.necks, tiny.heatmaps):
                part[index].load_state_dict(part[0].state_dict())
    first: list[Tensor] = []
    tiny.heatmaps[0].register_forward_hook(lambda _head, _inputs, output: first.append(output))
    last = tiny(image)
    torch.testing.assert_close(first[0], last, rtol=0, atol=0)


def test_an_hourglass_adds_what_each_scale_sees() -> None:
    """Against the same written as a loop, from the coarsest scale up."""
    torch.manual_seed(0)
    hourglass = Hourglass(depth=3, channels=8, blocks=2).eval()
    levels = [hourglass, hourglass.inner, hourglass.inner.inner]
    features = torch.randn(2, 8, 16, 24)
    scales = [features]
    for level in levels:
        scales.append(level.down(functional.max_pool2d(scales[-1], 2, stride=2)))
    coarse = levels[-1].inner(scales[-1])
    for level, scale in zip(reversed(levels), reversed(scales[:-1]), strict=True):
        up = level.up(coarse).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        coarse = up + level.skip(scale)
    torch.testing.assert_close(hourglass(features), coarse)


def test_names_of_the_official_code_are_understood() -> None:
    """Every entry of FPD's official network is one here, and the other way round."""
    with torch.device("meta"):
        model = models.create("hourglass4_128")
    residual = [
        f"{part}.{kind}" for part in ("bn1", "conv1", "bn2", "conv2", "bn3", "conv3") for kind in _kinds(part)
    ]
    official = [f"{part}.{kind}" for part in ("conv1", "bn1") for kind in _kinds(part)]
    for layer in (1, 2, 3):
        official += [f"layer{layer}.0.{entry}" for entry in residual]
        official += [f"layer{layer}.0.downsample.0.{kind}" for kind in _kinds("conv") if layer < 3]
    for stack in range(4):
        for depth in range(4):
            places = range(4 if depth == 0 else 3)
            official += [f"hg.{stack}.hg.{depth}.{place}.0.{entry}" for place in places for entry in residual]
        official += [f"res.{stack}.0.{entry}" for entry in residual]
        official += [f"fc.{stack}.{n}.{kind}" for n, part in ((0, "conv"), (1, "bn")) for kind in _kinds(part)]
        joints = ("score", "fc_", "score_") if stack < 3 else ("score",)
        official += [f"{joint}.{stack}.{kind}" for joint in joints for kind in _kinds("conv")]
    assert sorted(model.own_name(key) for key in official) == sorted(model.state_dict())
    found = identify({key: model.state_dict()[model.own_name(key)] for key in official})
    assert found is not None
    assert (found.name, found.num_keypoints) == ("hourglass4_128", 17)


def _kinds(part: str) -> tuple[str, ...]:
    if part.startswith("bn"):
        return ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return ("weight", "bias")


def test_official_names_mean_the_same_place(image: Tensor) -> None:
    """The scales are numbered from the coarsest; of 3 residual places the second is behind the pooling."""
    model = StackedHourglass("tiny", TINY, 5)
    hourglass = model.hourglasses[1]
    for official, own in {
        "hg.1.hg.1.0.0.": hourglass.skip[0],
        "hg.1.hg.1.1.0.": hourglass.down[0],
        "hg.1.hg.1.2.0.": hourglass.up[0],
        "hg.1.hg.0.0.0.": hourglass.inner.skip[0],
        "hg.1.hg.0.3.0.": hourglass.inner.inner[0],
    }.items():
        entry = model.own_name(official + "conv2.weight")
        assert model.get_parameter(entry) is own.conv2.weight


@pytest.mark.parametrize("fusion", ["none", "concat", "add"])
def test_compiles_to_one_graph(fusion: str, image: Tensor, mask: Tensor) -> None:
    model = StackedHourglass("tiny", HourglassConfig("tiny", 2, 8, depth=1), 5, fusion).eval()
    inputs = (image, mask)[: len(model.inputs)]
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs), model(*inputs))


def test_learns(image: Tensor) -> None:
    torch.manual_seed(0)
    model = StackedHourglass("tiny", TINY, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    target = torch.rand(2, 2, 16, 8)
    losses = []
    for _ in range(15):
        loss = (model(image) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_nothing_is_changed_in_place(tiny: StackedHourglass, image: Tensor) -> None:
    """So that any submodule's output may be a feature."""
    versions: list[tuple[Tensor, int]] = []
    for module in tiny.modules():
        if not isinstance(module, nn.Identity) and module is not tiny:
            module.register_forward_hook(lambda _m, _i, output: versions.append((output, output._version)))
    tiny(image)
    assert len(versions) > 100
    assert all(output._version == version for output, version in versions)
