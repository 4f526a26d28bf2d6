from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from timm.models.hrnet import HighResolutionNet
from torch import Tensor, nn

from kdkit_pose import models
from kdkit_pose.models.hrnet_config import CONFIGS

Write = Callable[[dict[str, Tensor]], Path]


def assert_same_state(model: nn.Module, expected: dict[str, Tensor]) -> None:
    state = model.state_dict()
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(state[key], value), key


def test_every_layout_loads_whole(layout: Write, trained: nn.Module) -> None:
    model = models.create("hrnet_w8_small")
    report = models.load_checkpoint(model, layout(trained.state_dict()))
    assert_same_state(model, trained.state_dict())
    assert report.loaded == 350
    assert report.fresh == ()
    assert report.unused == (("data_preprocessor.mean",) if report.format == "mmpose 1.x" else ())


@pytest.mark.parametrize("fusion", ["concat", "multiply", "add"])
def test_every_layout_loads_into_a_mask_aware_network(layout: Write, fusion: str, trained: nn.Module) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion)
    report = models.load_checkpoint(model, layout(trained.state_dict()))
    fresh = {"concat": ("conv1.weight[:, 3:] (zero)",), "add": ("mask_fusion.stem.weight",), "multiply": ()}
    assert report.fresh == fresh[fusion]
    assert torch.equal(model.conv1.weight[:, :3], trained.conv1.weight)


@pytest.mark.parametrize("fusion", ["concat", "multiply", "add"])
def test_a_mask_aware_state_dict_round_trips(tmp_path: Path, fusion: str) -> None:
    first = models.create("hrnet_w8_small", mask_fusion=fusion)
    for parameter in first.parameters():
        nn.init.normal_(parameter)
    second = models.create("hrnet_w8_small", mask_fusion=fusion)
    torch.save(first.state_dict(), tmp_path / "senior.pth")
    report = models.load_checkpoint(second, tmp_path / "senior.pth")
    assert report.fresh == ()
    assert_same_state(second, first.state_dict())


@pytest.mark.parametrize("fusion", ["none", "concat"])
def test_a_full_size_official_file_loads_strictly(tmp_path: Path, fusion: str) -> None:
    official = models.create("hrnet_w16").state_dict()
    torch.save(official, tmp_path / "w16.pth")
    model = models.create("hrnet_w16", checkpoint=tmp_path / "w16.pth", mask_fusion=fusion)
    assert torch.equal(
        model.state_dict()["stage4.2.fuse_layers.0.3.0.weight"], official["stage4.2.fuse_layers.0.3.0.weight"]
    )
    assert torch.equal(model.conv1.weight[:, :3], official["conv1.weight"])


def test_an_imagenet_classifier_gives_the_trunk_only(tmp_path: Path) -> None:
    classifier = HighResolutionNet(CONFIGS["hrnet_w16_small"].for_timm(), num_classes=10)
    torch.save(classifier.state_dict(), tmp_path / "imagenet.pth")
    model = models.create("hrnet_w16_small")
    head = model.final_layer.weight.clone()
    report = models.load_checkpoint(model, tmp_path / "imagenet.pth", trunk_only=True)
    assert report.fresh == ("final_layer.bias", "final_layer.weight")
    assert {key.split(".")[0] for key in report.unused} == {
        "incre_modules", "downsamp_modules", "final_layer", "classifier", "stage4",
    }  # fmt: skip
    assert torch.equal(model.final_layer.weight, head)
    trunk = {key: value for key, value in model.state_dict().items() if not key.startswith("final_layer.")}
    assert report.loaded == len(trunk)
    for key, value in trunk.items():
        assert torch.equal(value, classifier.state_dict()[key]), key


def test_trunk_only_changes_the_keypoints(tmp_path: Path, trained: nn.Module) -> None:
    torch.save(trained.state_dict(), tmp_path / "coco.pth")
    model = models.create("hrnet_w8_small", num_keypoints=14)
    report = models.load_checkpoint(model, tmp_path / "coco.pth", trunk_only=True)
    assert report.unused == report.fresh[::-1] == ("final_layer.weight", "final_layer.bias")
    assert torch.equal(model.conv1.weight, trained.conv1.weight)


def test_a_file_older_than_the_batch_counters_loads(tmp_path: Path, trained: nn.Module) -> None:
    state = {key: value for key, value in trained.state_dict().items() if not key.endswith("tracked")}
    torch.save(state, tmp_path / "old.pth")
    model = models.create("hrnet_w8_small")
    report = models.load_checkpoint(model, tmp_path / "old.pth")
    assert report.loaded == len(state)
    assert all(key.endswith("num_batches_tracked") for key in report.fresh)


def test_half_precision_weights_load_into_single_precision(tmp_path: Path, trained: nn.Module) -> None:
    state = {
        key: value.half() if value.is_floating_point() else value for key, value in trained.state_dict().items()
    }
    torch.save(state, tmp_path / "half.pth")
    model = models.create("hrnet_w8_small", checkpoint=tmp_path / "half.pth")
    assert model.conv1.weight.dtype == torch.float32
    assert torch.equal(model.conv1.weight, state["conv1.weight"].float())


def test_the_report_reads_well(tmp_path: Path, trained: nn.Module) -> None:
    state = trained.state_dict()
    mmpose = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("final_layer.")}
    head = {f"head.{key}": value for key, value in state.items() if key.startswith("final_layer.")}
    other = {f"data_preprocessor.{index}": torch.zeros(1) for index in range(6)}
    torch.save({"state_dict": mmpose | head | other}, tmp_path / "w8.pth")
    model = models.create("hrnet_w8_small", mask_fusion="add")
    assert str(models.load_checkpoint(model, tmp_path / "w8.pth")).splitlines() == [
        f"{tmp_path / 'w8.pth'} (mmpose 1.x): 350 entries loaded",
        "  not used: data_preprocessor.0, data_preprocessor.1, data_preprocessor.2, data_preprocessor.3"
        " and 2 more",
        "  fresh, not from the file: mask_fusion.stem.weight",
    ]
