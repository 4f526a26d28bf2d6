"""What LPN and Lite-HRNet have in common, as properties."""

import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kdkit.errors import BatchError, CheckpointError, ConfigurationError
from kdkit_pose import models
from kdkit_pose.models import LiteHRNet, LiteHRNetConfig, LPNConfig, PoseLPN, PoseNetwork
from kdkit_pose.models.identify import identify

NAMES = ("lpn_50", "litehrnet_18", "litehrnet_30")
FUSIONS = ("none", "concat", "multiply", "add")
STEM = {"lpn": "conv1.weight", "litehrnet": "stem.conv1.conv.weight"}

Build = Callable[..., PoseNetwork]


@pytest.fixture(params=["lpn", "litehrnet"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shallow(family: str) -> Build:
    """Builds a network with all kinds of parts, and few of each; none of its entries is as it was built."""

    def build(num_keypoints: int = 3, mask_fusion: str = "none", features: tuple[str, ...] = ()) -> PoseNetwork:
        torch.manual_seed(0)
        arguments = (num_keypoints, mask_fusion, features)
        if family == "lpn":
            return PoseLPN("lpn_50", LPNConfig("LPN", (2, 1, 1, 1)), *arguments)
        return LiteHRNet("litehrnet_18", LiteHRNetConfig("Lite-HRNet", (1, 1, 1)), *arguments)

    return build


def disturb(model: nn.Module) -> None:
    """Give every entry a value that it is not built with."""
    generator = torch.Generator().manual_seed(3)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=generator) - 0.5, alpha=0.2)
        else:
            value.add_(7)


def written(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return values that a formula gives, in double precision, for every entry."""
    filled = {}
    for key, value in state.items():
        wave = torch.arange(value.numel(), dtype=torch.float64).mul(0.7).add(len(key)).sin().reshape(value.shape)
        if value.ndim == 4:
            filled[key] = wave * (0.5 / math.sqrt(value[0].numel()))
        elif key.endswith(("running_var", "weight")):
            filled[key] = 1 + 0.3 * wave
        else:
            filled[key] = 0.3 * wave if value.is_floating_point() else value
    return filled


# Heatmaps of the published code with these weights: zhang943/lpn-pytorch, and the Lite-HRNet of mmpose 1.3.2,
# which computes as HRNet/Lite-HRNet.
PUBLISHED_HEATMAPS = {
    "lpn_50": (-0.4508691871202446, 0.1868087679258993, 0.8556714219710844, 0.43125501481231393),
    "litehrnet_18": (0.12554492641869391, 0.22248744958621644, 0.26363665873135544, 0.279265462949127),
    "litehrnet_30": (0.12432219035050422, 0.22249598341948248, 0.2632746502719639, 0.27927988663320324),
}


@pytest.mark.parametrize("name", NAMES)
def test_computes_what_the_published_code_computes(name: str) -> None:
    model = models.create(name).double().eval()
    model.load_state_dict(written(model.state_dict()))
    image = torch.arange(3 * 64 * 96, dtype=torch.float64).mul(0.01).sin().reshape(1, 3, 64, 96)
    with torch.no_grad():
        heatmaps = model(image)[0]
    found = (heatmaps[0, 0, 0], heatmaps[5, 8, 11], heatmaps[16, 15, 23], heatmaps.std())
    assert [value.item() for value in found] == pytest.approx(PUBLISHED_HEATMAPS[name], rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_maps_an_image_to_heatmaps_at_a_quarter(name: str) -> None:
    with torch.device("meta"):
        model = models.create(name, num_keypoints=5)
        for height, width in ((256, 192), (128, 96), (384, 288), (32, 32)):
            assert model(torch.empty(2, 3, height, width)).shape == (2, 5, height // 4, width // 4)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_gets_a_gradient(fusion: str, shallow: Build, image: Tensor, mask: Tensor) -> None:
    model = shallow(mask_fusion=fusion)
    disturb(model)
    model(*(image, mask)[: len(model.inputs)]).square().sum().backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []
    # A softmax does not see the bias of what it reads: see GlobalContext.
    unmoved = [key for key, value in model.named_parameters() if not value.grad.any()]
    assert all(key.endswith("att.conv_mask.bias") for key in unmoved)


@pytest.mark.parametrize("name", NAMES[:2])
def test_first_heatmaps_are_nearly_zero(name: str, image: Tensor) -> None:
    assert 0 < models.create(name)(image).abs().max() < 0.1


def test_learns(shallow: Build, image: Tensor) -> None:
    model = shallow(num_keypoints=2)
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


def test_in_eval_mode_an_image_is_on_its_own(shallow: Build, image: Tensor) -> None:
    model = shallow()
    disturb(model)
    model.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    heatmaps = model(image)
    assert torch.equal(model(image), heatmaps)
    torch.testing.assert_close(model(image[1:]), heatmaps[1:], rtol=0, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("fusion", ["concat", "multiply", "add"])
def test_a_fusion_starts_equal_to_the_rgb_network(
    fusion: str, shallow: Build, family: str, image: Tensor, mask: Tensor, tmp_path: Path
) -> None:
    plain, aware = shallow(), shallow(mask_fusion=fusion)
    disturb(plain)
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    report = models.load_checkpoint(aware, tmp_path / "plain.pth")
    assert report.loaded == len(plain.state_dict())
    expected = {"concat": (f"{STEM[family]}[:, 3:] (zero)",), "add": ("mask_fusion.stem.weight",), "multiply": ()}
    assert report.fresh == expected[fusion]
    plain.eval()
    aware.eval()
    seen = torch.ones_like(mask) if fusion == "multiply" else mask
    torch.testing.assert_close(aware(image, seen), plain(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("fusion", ["concat", "multiply", "add"])
def test_a_fusion_reads_the_mask(fusion: str, shallow: Build, image: Tensor, mask: Tensor) -> None:
    model = shallow(mask_fusion=fusion)
    disturb(model)
    model.eval()
    assert not torch.allclose(model(image, mask), model(image, 1 - mask))


def test_features_are_what_the_named_parts_return(shallow: Build, family: str, image: Tensor) -> None:
    names = {
        "lpn": ("deconv_layers", "layer4", "layer3", "layer2", "layer1"),
        "litehrnet": ("head_layer", "stage2", "stage1", "stage0"),
    }[family]
    model = shallow(features=names).eval()
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        def hook(_module: nn.Module, _inputs: object, result: Tensor | list[Tensor]) -> None:
            seen[name] = (result if isinstance(result, Tensor) else result[0]).clone()

        model.get_submodule(name).register_forward_hook(hook)

    for name in names:
        keep(name)
    outputs = model(image)
    assert list(outputs) == ["heatmap", *names]
    for name in names:
        torch.testing.assert_close(outputs[name], seen[name], rtol=0, atol=0)
    torch.testing.assert_close(outputs["heatmap"], shallow().eval()(image))


def test_copies_give_equal_outputs(shallow: Build, image: Tensor) -> None:
    model = shallow()
    disturb(model)
    model.eval()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(image), model(image))
        assert models.describe(twin) == models.describe(model)


def test_compiles_to_one_graph(shallow: Build, image: Tensor, mask: Tensor) -> None:
    model = shallow(mask_fusion="add").eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image, mask), model(image, mask))


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_published_file_is_recognised_and_loaded(name: str, tmp_path: Path) -> None:
    model = models.create(name)
    disturb(model)
    state = model.state_dict()
    if name == "lpn_50":  # LPN's are bare state dicts, Lite-HRNet's those of mmpose 0.x
        torch.save(state, tmp_path / "published.pth")
    else:
        head = {f"keypoint_head.{key}": value for key, value in state.items() if key.startswith("final_layer.")}
        trunk = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("final_layer.")}
        torch.save({"meta": {"epoch": 210}, "state_dict": trunk | head}, tmp_path / "published.pth")
    loaded = models.load(tmp_path / "published.pth")
    assert loaded.name == name
    found = loaded.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(value, found[key]) for key, value in state.items())


@pytest.mark.parametrize("fusion", ["none", "concat", "add"])
def test_a_state_says_what_it_is_of(fusion: str) -> None:
    for name in NAMES:
        with torch.device("meta"):
            model = models.create(name, num_keypoints=14, mask_fusion=fusion)
        found = identify(model.state_dict())
        assert found is not None
        assert (found.name, found.title, found.num_keypoints) == (name, model.title, 14)
        assert found.mask_fusion == fusion


def test_a_trunk_serves_other_keypoints(shallow: Build, tmp_path: Path) -> None:
    model, other = shallow(num_keypoints=3), shallow(num_keypoints=5)
    disturb(model)
    torch.save(model.state_dict(), tmp_path / "three.pth")
    with pytest.raises(CheckpointError):
        models.load_checkpoint(other, tmp_path / "three.pth")
    report = models.load_checkpoint(other, tmp_path / "three.pth", trunk_only=True)
    assert report.fresh
    assert all(key.startswith(other.head_prefixes) for key in report.fresh)
    state = other.state_dict()
    trunk = [key for key in state if not key.startswith(other.head_prefixes)]
    assert report.loaded == len(trunk)
    assert all(torch.equal(state[key], model.state_dict()[key]) for key in trunk)


def test_a_size_that_would_not_line_up_is_refused(shallow: Build) -> None:
    model = shallow()
    with pytest.raises(BatchError, match=f"multiples of {model.size_multiple}"):
        model(torch.zeros(2, 3, 64, 64 + model.size_multiple // 2))
    assert model(torch.zeros(2, 3, 64, 64 + model.size_multiple)).shape == (
        2,
        3,
        16,
        16 + model.size_multiple // 4,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mask_fusion": "gate"}, ["gate", "none, concat, multiply, add"]),
        ({"num_keypoints": 0}, ["num_keypoints is 0"]),
        ({"features": ("stage5",)}, ["stage5", "choose from"]),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], words: list[str], shallow: Build) -> None:
    with pytest.raises(ConfigurationError) as caught:
        shallow(**arguments)
    assert all(word in str(caught.value) for word in words)
