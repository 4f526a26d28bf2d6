"""Starting from ImageNet, with classifiers of random weights in place of downloaded ones."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit_pose import models

# Beside the tested backbones one whose modules timm flattens, one that it wraps, and one with a tag.
BACKBONES = [
    "resnet18",
    "resnet50",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "efficientnet_lite0",
    "convnext_atto",
    "test_vit",
    "resnet18.tv_in1k",
]


@pytest.fixture
def classifier(random_weights) -> Callable[[str], nn.Module]:
    return lambda name: random_weights(timm.create_model(name)).eval()


def last_features(classifier: nn.Module, image: Tensor) -> Tensor:
    """What the module returns that timm documents as the place of the last features."""
    found: list[Tensor] = []
    place = classifier.get_submodule(classifier.feature_info[-1]["module"])
    place.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    classifier(image)
    return found[0]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_are_the_classifiers(backbone: str, classifier, image: Tensor, tmp_path: Path) -> None:
    source = classifier(backbone)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    model = models.create(f"simplebaseline_{backbone}").eval()
    head = {key: value.clone() for key, value in model.state_dict().items() if key.startswith(model.head_prefixes)}
    report = models.load_pretrained(model, tmp_path / "weights.pth")
    with torch.no_grad():
        found = model.backbone(image)[-1]
        expected = last_features(source, image)
    if expected.ndim == 3:  # a transformer's tokens, the class's before those of the picture
        expected = expected[:, -found[0, 0].numel() :].mT.reshape(found.shape)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in head.items())
    # All is accounted for: the file's keys are used or not, the network's entries are loaded or fresh.
    assert {*report.used, *report.unused} == set(source.state_dict())
    assert report.loaded + len(report.fresh) == len(model.state_dict())
    assert set(report.fresh) == set(head)
    assert "fc.weight" in report.unused or "classifier.weight" in report.unused or "head" in str(report.unused)
    assert "not used" in str(report)
    assert "fresh" in str(report)


@pytest.mark.parametrize("write", ["safetensors", "training file", "data parallel", "pose file"])
def test_layouts_of_the_file_make_no_difference(write: str, classifier, tmp_path: Path) -> None:
    state = classifier("resnet18").state_dict()
    path = tmp_path / "weights.pth"
    model = models.create("simplebaseline_resnet18")
    if write == "safetensors":
        save_file(state, path)
    elif write == "training file":
        torch.save({"epoch": 3, "arch": "resnet18", "state_dict": state, "optimizer": {}}, path)
    elif write == "data parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    else:  # the whole of a SimpleBaseline gives its trunk
        other = models.create("simplebaseline_resnet18", num_keypoints=3)
        other.backbone.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
        models.save(other, path)
    report = models.load_pretrained(model, path)
    assert report.loaded == 120
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("head", [{}, {"fc.weight": torch.zeros(5, 512), "fc.bias": torch.zeros(5)}])
def test_the_classifiers_own_head_does_not_matter(head: dict, classifier, tmp_path: Path) -> None:
    state = {key: value for key, value in classifier("resnet18").state_dict().items() if not key.startswith("fc.")}
    torch.save(state | head, tmp_path / "weights.pth")
    report = models.load_pretrained(models.create("simplebaseline_resnet18"), tmp_path / "weights.pth")
    assert report.unused == tuple(head)


@pytest.mark.parametrize("name", ["simplebaseline_resnet18", "simplebaseline_convnext_atto", "hrnet_w16_small"])
def test_a_mask_aware_network_starts_equal_to_the_rgb_one(
    name: str, classifier, image: Tensor, mask: Tensor, tmp_path: Path
) -> None:
    source = {"hrnet_w16_small": "hrnet_w18_small"}.get(name, name.removeprefix("simplebaseline_"))
    torch.save(classifier(source).state_dict(), tmp_path / "weights.pth")
    plain, aware = (models.create(name, mask_fusion=fusion).eval() for fusion in ("none", "concat"))
    models.load_pretrained(plain, tmp_path / "weights.pth")
    report = models.load_pretrained(aware, tmp_path / "weights.pth")
    assert sum(entry.endswith("[:, 3:] (zero)") for entry in report.fresh) == 1
    heads = {key: value for key, value in plain.state_dict().items() if key.startswith(plain.head_prefixes)}
    aware.load_state_dict(heads, strict=False)
    with torch.no_grad():
        torch.testing.assert_close(aware(image, mask), plain(image), rtol=1e-4, atol=1e-6)


def test_an_hrnet_takes_its_classifiers_trunk(classifier, image: Tensor, tmp_path: Path) -> None:
    source = classifier("hrnet_w18_small")
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    model = models.create("hrnet_w16_small", features=("stage4",)).eval()
    report = models.load_pretrained(model, tmp_path / "weights.pth")
    with torch.no_grad():
        torch.testing.assert_close(model(image)["stage4"], source.stages(_stem(source, image))[0])
    assert {*report.used, *report.unused} == set(source.state_dict())
    assert set(report.fresh) == {"final_layer.weight", "final_layer.bias"}


def _stem(hrnet: nn.Module, image: Tensor) -> Tensor:
    half = hrnet.act1(hrnet.bn1(hrnet.conv1(image)))
    return hrnet.act2(hrnet.bn2(hrnet.conv2(half)))


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("simplebaseline_resnet18", "resnet34", ["ResNet-34", "SimpleBaseline-18"]),
        ("simplebaseline_resnet34", "resnet18", ["ResNet-18", "resnet34"]),
        ("simplebaseline_resnet18", "test_efficientnet", ["timm's 'resnet18'"]),
        ("simplebaseline_test_efficientnet", "resnet18", ["ResNet-18", "timm's 'test_efficientnet'"]),
        ("simplebaseline_test_resnet", "test_efficientnet", ["timm's 'test_resnet'"]),
        ("hrnet_w8_small", "hrnet_w18_small", ["ImageNet classifier with the trunk of"]),
    ],
)
def test_another_networks_file_changes_nothing(name: str, source: str, words: list[str], tmp_path: Path) -> None:
    torch.save(timm.create_model(source).state_dict(), tmp_path / "other.pth")
    _assert_refused(models.create(name), tmp_path / "other.pth", "other.pth", *words)


@pytest.mark.parametrize("change", ["missing", "added", "reshaped"])
@pytest.mark.parametrize("backbone", ["resnet18", "convnext_atto"])
def test_a_file_that_fits_in_part_changes_nothing(change: str, backbone: str, tmp_path: Path) -> None:
    state = timm.create_model(backbone).state_dict()
    key = [key for key in state if key.endswith("weight") and state[key].ndim == 4][3]
    value = state.pop(key)
    if change == "reshaped":
        state[key] = value[:-1]
    elif change == "added":
        state |= {key: value, key.replace("weight", "extra.weight"): value}
    torch.save(state, tmp_path / "damaged.pth")
    _assert_refused(models.create(f"simplebaseline_{backbone}"), tmp_path / "damaged.pth", "damaged.pth")


def _assert_refused(model: nn.Module, source: Path | str, *words: str) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        models.load_pretrained(model, source)
    assert [word for word in words if word not in str(caught.value)] == []
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


VARIANTS = [
    ("efficientnet_lite0", "tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k.pth"),
    ("efficientnet_lite0", "tf_efficientnet_lite0", "from_TF_EfficientNet.pth"),
    ("tf_efficientnet_lite0.in1k", "efficientnet_lite0", "efficientnet_lite0_ra-37913777.pth"),
]


@pytest.mark.parametrize(("backbone", "source", "file"), VARIANTS)
def test_a_file_named_for_the_other_padding_is_refused(
    backbone: str, source: str, file: str, tmp_path: Path
) -> None:
    torch.save(timm.create_model(source).state_dict(), tmp_path / file)
    model = models.create(f"simplebaseline_{backbone}")
    _assert_refused(model, tmp_path / file, file, f"build simplebaseline_{source}", "rename the file")


@pytest.mark.parametrize(
    ("backbone", "file"),
    [
        ("efficientnet_lite0", "efficientnet_lite0.pth"),
        ("efficientnet_lite0", "weights.pth"),
        ("tf_efficientnet_lite0", "tf_efficientnet_lite0.pth"),
        ("tf_efficientnet_lite0", "weights.pth"),
        ("test_resnet", "tf_run.pth"),  # there is no other variant
    ],
)
def test_a_name_that_says_nothing_else_is_taken(backbone: str, file: str, tmp_path: Path) -> None:
    classifier = timm.create_model(backbone)
    torch.save(classifier.state_dict(), tmp_path / file)
    model = models.create(f"simplebaseline_{backbone}")
    report = models.load_pretrained(model, tmp_path / file)
    assert report.loaded == len(model.backbone.state_dict())
    stem, expected = next(model.backbone.parameters()), next(classifier.parameters())
    assert torch.equal(stem, expected)


def test_a_header_says_more_than_the_files_name(tmp_path: Path) -> None:
    models.save(models.create("simplebaseline_tf_efficientnet_lite0"), tmp_path / "student.safetensors")
    model = models.create("simplebaseline_efficientnet_lite0")
    _assert_refused(model, tmp_path / "student.safetensors", "timm's 'tf_efficientnet_lite0'")


def test_weights_for_pictures_normalised_otherwise_are_remarked(tmp_path: Path) -> None:
    name = "tf_efficientnet_lite0"
    torch.save(timm.create_model(name).state_dict(), tmp_path / "weights.pth")
    report = models.load_pretrained(models.create(f"simplebaseline_{name}"), tmp_path / "weights.pth")
    assert "normalised by mean (0.5, 0.5, 0.5)" in str(report)


@pytest.mark.parametrize(
    ("name", "fetched"), [("simplebaseline_resnet18", "resnet18"), ("hrnet_w16_small", "hrnet_w18_small")]
)
def test_the_hub_gives_what_timm_fetches(name: str, fetched: str, classifier, tmp_path: Path, monkeypatch) -> None:
    state = classifier(fetched).state_dict()
    torch.save(state, tmp_path / "fetched.pth")
    create = timm.create_model

    def create_from_disk(model: str, pretrained: bool = False, **options: object) -> nn.Module:
        if pretrained:  # timm's own loading, of a file in place of a download
            options["pretrained_cfg_overlay"] = {"file": str(tmp_path / "fetched.pth")}
        return create(model, pretrained=pretrained, **options)

    monkeypatch.setattr(timm, "create_model", create_from_disk)
    model = models.create(name)
    report = models.load_pretrained(model, "hub")
    own = model.state_dict()
    loaded = [
        key for key in own if torch.equal(own[key], state.get(key.removeprefix("backbone."), torch.empty(0)))
    ]
    assert report.loaded == len(loaded) == len(own) - len(report.fresh)
    assert str(report).startswith(f"timm/{timm.get_pretrained_cfg(fetched).architecture}.")


def test_without_a_network_the_way_by_a_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def unreachable(name: str, pretrained: bool = False, **options: object) -> nn.Module:
        if pretrained:
            raise OSError("no route to host\nand more")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", unreachable)
    model = models.create("simplebaseline_resnet18")
    _assert_refused(
        model, "hub", "no route to host)", "timm/resnet18.a1_in1k of the Hugging Face hub", "give the file"
    )


@pytest.mark.parametrize("source", ["hub", "weights.pth"])
def test_a_network_without_a_counterpart_is_told_so(source: str) -> None:
    with pytest.raises(ConfigurationError, match="4-stage Hourglass has no counterpart trained on ImageNet"):
        models.load_pretrained(models.create("hourglass4_128"), source)


def test_an_hrnet_that_nobody_published_needs_a_file() -> None:
    with pytest.raises(ConfigurationError, match="timm has no weights for the trunk of hrnet_w8_small"):
        models.load_pretrained(models.create("hrnet_w8_small"), "hub")


def test_other_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"models\.create"):
        models.load_pretrained(nn.Conv2d(3, 3, 1), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        models.load_pretrained(models.create("simplebaseline_test_resnet"), tmp_path / "weights.pth")
