"""Every network in every layout: the acceptance of checkpoints made elsewhere."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdkit_pose import models
from tests.kdkit_pose.models.conftest import LAYOUTS

Refused = Callable[..., str]
SOME_LAYOUTS = ("bare", "official training file", "mmpose 0.x", "mmpose 1.x", "dwpose")
OFFICIAL = ("hrnet_w16", "hrnet_w32", "hrnet_w48", "simplebaseline_resnet50")


def assert_same_weights(network: nn.Module, expected: nn.Module) -> None:
    state, other = network.state_dict(), expected.state_dict()
    assert state.keys() == other.keys()
    for key, value in other.items():
        assert torch.equal(state[key], value), key


def official_name(entry: str) -> str:
    return entry.removeprefix("backbone.")


def numbered(state: dict[str, Tensor], start: int = 1) -> dict[str, Tensor]:
    """Weights of which every one has a value of its own, in a handful of bytes each."""
    return {
        official_name(entry): torch.full((), float(start + index)).to(value.dtype).expand(value.shape)
        for index, (entry, value) in enumerate(state.items())
    }


@pytest.fixture(scope="module", params=OFFICIAL)
def network(request: pytest.FixtureRequest) -> Iterator[nn.Module]:
    return models.create(request.param)


@pytest.mark.parametrize("layout", SOME_LAYOUTS)
def test_every_network_loads_strictly_from_every_layout(network: Any, layout: str, tmp_path: Path) -> None:
    state = numbered(network.state_dict(), 10_000 * list(LAYOUTS).index(layout))
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS[layout](state), path)
    found = models.recognise(path)
    assert (found.model, found.num_keypoints, found.mask_fusion) == (network.name, 17, "none")
    assert found.title == network.title
    report = models.load_checkpoint(network, path)
    assert report.loaded == len(state)
    assert report.fresh == ()
    for entry, value in network.state_dict().items():
        expected = state[official_name(entry)].flatten()[0]
        assert value.flatten()[0] == value.flatten()[-1] == expected, entry


@pytest.mark.parametrize(
    ("name", "fusion"),
    [
        *((name, "none") for name in ("hrnet_w18", "hrnet_w16_small", "hrnet_w12_small", "litehrnet_30")),
        *((f"simplebaseline_resnet{depth}", "none") for depth in (34, 50, 101, 152)),
        *((f"simplebaseline_{name}", "none") for name in ("resnext50_32x4d", "wide_resnet50_2")),
        *((name, "add") for name in ("hrnet_w8_small", "hourglass4_128", "lpn_50", "litehrnet_18")),
        *((name, "concat") for name in ("hrnet_w8_small", "hourglass4_128", "lpn_50", "litehrnet_18")),
        ("simplebaseline_resnet18", "concat"),
    ],
)
def test_a_network_is_recognised_by_its_weights(name: str, fusion: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        built = models.create(name, num_keypoints=14, mask_fusion=fusion)
    state = numbered(built.state_dict())
    torch.save(state, tmp_path / "weights.pth")
    found = models.recognise(tmp_path / "weights.pth")
    assert (found.model, found.num_keypoints, found.mask_fusion) == (name, 14, fusion)
    own = {entry: state[official_name(entry)] for entry in built.state_dict()}
    torch.save({"network": own, "optimizer": None, "format": 3}, tmp_path / "run.pth")
    found = models.recognise(tmp_path / "run.pth")
    assert (found.model, found.format) == (name, "kdkit training checkpoint")


@pytest.mark.parametrize("name", ["hrnet_w8_small", "simplebaseline_resnet18", "hourglass4_128"])
def test_a_recognised_file_loads_without_a_name(name: str, tmp_path: Path) -> None:
    first = models.create(name, num_keypoints=3, mask_fusion="concat")
    torch.save(first.state_dict(), tmp_path / "own.pth")
    second = models.load(tmp_path / "own.pth")
    assert models.describe(second) == models.describe(first)
    assert_same_weights(second, first)


@pytest.mark.parametrize(
    ("name", "fusion"),
    [("simplebaseline_mobilenetv2_100", "multiply"), ("litehrnet_18", "none"), ("lpn_50", "multiply")],
)
def test_kdkits_own_file_says_what_it_holds(name: str, fusion: str, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    first = models.create(name, num_keypoints=5, mask_fusion=fusion)
    models.save(first, path)
    second = models.load(path)
    assert models.describe(second) == models.describe(first)
    assert_same_weights(second, first)
    found = models.recognise(path)
    assert (found.model, found.num_keypoints, found.mask_fusion) == (name, 5, fusion)
    torch.save(first.state_dict(), tmp_path / "bare.pth")
    named = models.create(name, 5, tmp_path / "bare.pth", mask_fusion=fusion)
    assert_same_weights(named, first)


@pytest.mark.parametrize("name", ["simplebaseline_resnet18", "lpn_50", "litehrnet_18", "hourglass4_128"])
def test_the_trunk_of_any_network_takes_a_new_head(name: str, tmp_path: Path) -> None:
    first = models.create(name)
    models.save(first, tmp_path / "coco.safetensors")
    second = models.create(name, num_keypoints=14)
    before = {key: value.clone() for key, value in second.state_dict().items()}
    report = models.load_checkpoint(second, tmp_path / "coco.safetensors", trunk_only=True)
    assert set(report.unused) == set(report.fresh) != set()
    trunk = first.state_dict()
    for key, value in second.state_dict().items():
        expected = before if key in report.fresh else trunk
        assert torch.equal(value, expected[key]), key


def test_a_classifier_is_recognised_and_gives_its_trunk(assert_refused: Refused, tmp_path: Path) -> None:
    import timm

    classifier = timm.create_model("resnet18", num_classes=10)
    path = tmp_path / "imagenet.pth"
    torch.save(classifier.state_dict(), path)
    found = models.recognise(path)
    assert (found.model, found.title, found.num_keypoints) == ("simplebaseline_resnet18", "ResNet-18", None)
    assert "no heatmap head" in str(found)
    model = models.create("simplebaseline_resnet18")
    assert_refused(model, path, "a ResNet-18 without a heatmap head", "trunk_only=True")
    report = models.load_checkpoint(model, path, trunk_only=True)
    assert report.unused == ("fc.weight", "fc.bias")
    assert all(entry.startswith(("deconv_layers.", "final_layer.")) for entry in report.fresh)
    assert torch.equal(model.backbone.layer4[1].conv2.weight, classifier.layer4[1].conv2.weight)


def test_an_official_hourglass_gives_its_trunk(tmp_path: Path) -> None:
    """Its `fc` is no classifier's."""
    first, second = models.create("hourglass4_128"), models.create("hourglass4_128", num_keypoints=14)
    official = {
        "necks": "fc",
        "residuals": "res",
        "heatmaps": "score",
        "from_features": "fc_",
        "from_heatmaps": "score_",
    }
    renamed = {}
    for entry, value in first.state_dict().items():
        part, _, rest = entry.partition(".")
        renamed[f"{official.get(part, part)}.{rest}"] = value
    torch.save(renamed, tmp_path / "fpd.pth")
    report = models.load_checkpoint(second, tmp_path / "fpd.pth", trunk_only=True)
    assert {key.partition(".")[0] for key in report.unused} == {"score", "score_"}
    assert torch.equal(second.state_dict()["necks.0.0.weight"], first.state_dict()["necks.0.0.weight"])
