import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kdkit.errors import BatchError, ConfigurationError
from kdkit_pose import models

# name, entries of the state dict, parameters in millions, GMACs at 256x192
FIGURES = [
    ("hrnet_w16", 1754, 7.45, 2.75),
    ("hrnet_w18", 1754, 9.32, 3.19),
    ("hrnet_w32", 1754, 28.54, 7.65),
    ("hrnet_w48", 1754, 63.60, 15.69),
    ("hrnet_w16_small", 350, 1.29, 0.57),
    ("hrnet_w12_small", 350, 0.76, 0.428),
    ("hrnet_w8_small", 350, 0.32, 0.15),
]


@pytest.mark.parametrize(("name", "entries", "millions", "giga_macs"), FIGURES)
def test_has_the_published_size(name: str, entries: int, millions: float, giga_macs: float) -> None:
    with torch.device("meta"):
        model = models.create(name)
    assert len(model.state_dict()) == entries
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 256, 192, device="meta"))
    # a multiply-accumulate is counted as two operations
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga_macs, abs=0.006)


def test_every_name_is_measured() -> None:
    assert tuple(name for name in models.names() if name.startswith("hrnet")) == tuple(row[0] for row in FIGURES)


def test_entries_are_named_as_in_the_official_repository() -> None:
    with torch.device("meta"):
        state = models.create("hrnet_w32").state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert shapes["conv1.weight"] == (64, 3, 3, 3)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["transition1.0.0.weight"] == (32, 256, 3, 3)
    assert shapes["transition1.1.0.0.weight"] == (64, 256, 3, 3)
    assert shapes["transition3.3.0.1.running_var"] == (256,)
    assert shapes["stage3.3.branches.2.3.bn2.num_batches_tracked"] == ()
    assert shapes["stage3.3.fuse_layers.2.0.1.0.weight"] == (128, 32, 3, 3)
    assert shapes["stage4.2.fuse_layers.0.3.0.weight"] == (32, 256, 1, 1)
    assert shapes["final_layer.weight"] == (17, 32, 1, 1)
    assert not any(key.startswith("stage4.2.fuse_layers.1") for key in shapes)


@pytest.mark.parametrize("name", [row[0] for row in FIGURES])
def test_maps_an_image_to_heatmaps_at_a_quarter(name: str) -> None:
    with torch.device("meta"):
        model = models.create(name, num_keypoints=5)
        assert model(torch.empty(2, 3, 64, 96)).shape == (2, 5, 16, 24)


@pytest.mark.parametrize("fusion", ["none", "concat", "multiply", "add"])
@pytest.mark.parametrize("name", ["hrnet_w8_small", "hrnet_w16"])
def test_every_parameter_gets_a_gradient(name: str, fusion: str, image: Tensor, mask: Tensor) -> None:
    model = models.create(name, mask_fusion=fusion)
    model(*(image, mask)[: len(model.inputs)]).square().sum().backward()
    assert [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_first_heatmaps_are_nearly_zero(image: Tensor) -> None:
    heatmaps = models.create("hrnet_w16_small")(image)
    assert 0 < heatmaps.abs().max() < 0.1


def test_learns(image: Tensor) -> None:
    torch.manual_seed(0)
    model = models.create("hrnet_w8_small", num_keypoints=2)
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


def test_features_are_the_highest_branch_of_each_stage(trained: nn.Module, image: Tensor) -> None:
    model = models.create("hrnet_w8_small", features=("stage2", "stage3", "stage4")).eval()
    model.load_state_dict(trained.state_dict())
    seen = {}
    for stage in ("stage2", "stage3", "stage4"):
        model.get_submodule(stage).register_forward_hook(
            lambda _module, _inputs, branches, stage=stage: seen.update({stage: branches[0].clone()})
        )
    outputs = model(image)
    assert list(outputs) == ["heatmap", "stage2", "stage3", "stage4"]
    torch.testing.assert_close(outputs["heatmap"], trained(image))
    for stage, expected in seen.items():
        assert expected.shape == (2, 8, 16, 8)
        torch.testing.assert_close(outputs[stage], expected, rtol=0, atol=0)


def test_copies_give_equal_outputs(trained: nn.Module, image: Tensor) -> None:
    expected = trained(image)
    for twin in (copy.deepcopy(trained), pickle.loads(pickle.dumps(trained))):
        assert torch.equal(twin(image), expected)
        assert models.describe(twin) == models.describe(trained)


@pytest.mark.parametrize("fusion", ["none", "add"])
def test_compiles_to_one_graph(fusion: str, image: Tensor, mask: Tensor) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion, features=("stage3",)).eval()
    inputs = (image, mask)[: len(model.inputs)]
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs), model(*inputs))


@pytest.mark.parametrize("size", [(63, 32), (64, 48)])
def test_a_size_that_would_not_line_up_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(BatchError, match="multiples of 32"):
        models.create("hrnet_w8_small")(torch.zeros(1, 3, *size))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "hrnet_w64"}, ["hrnet_w64", "hrnet_w16_small"]),
        ({"mask_fusion": "gate"}, ["gate", "none, concat, multiply, add"]),
        ({"features": ("stage2", "stage5")}, ["stage5", "stage2, stage3, stage4"]),
        ({"num_keypoints": 0}, ["num_keypoints is 0"]),
    ],
)
def test_wrong_arguments_are_named_with_the_choices(arguments: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        models.create(**({"name": "hrnet_w8_small"} | arguments))
    assert all(word in str(caught.value) for word in words)
