from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies
from timm.models.hrnet import HighResolutionNet
from torch import Tensor, nn

from kdkit_pose import models
from kdkit_pose.models.checkpoint_report import group_keys
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
    others = (
        *("data_preprocessor.", "student.data_preprocessor.", "teacher.", "distill_losses.", "n_averaged"),
        *("criterion.", "metric."),
    )
    assert all(key.startswith(others) for key in report.unused)
    named = {"n_averaged", "criterion.weight"} & {*report.unused}
    assert bool(report.unused) == ("mmpose 1.x" in report.format or bool(named))


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


def test_the_report_names_every_key_that_was_not_used(tmp_path: Path, trained: nn.Module) -> None:
    state = trained.state_dict()
    student = {f"student.backbone.{key}": value for key, value in state.items() if not key.startswith("final")}
    head = {f"student.head.{key}": value for key, value in state.items() if key.startswith("final")}
    other = {f"teacher.{index}.weight": torch.zeros(1) for index in range(1200)}
    rest = {"student.head.loss_module.bias": torch.zeros(1), "distill_losses.a": torch.zeros(1), "epoch": 3}
    torch.save({"state_dict": student | head | other | rest, "optimizer": {}}, tmp_path / "w8.pth")
    model = models.create("hrnet_w8_small", mask_fusion="add")
    report = models.load_checkpoint(model, tmp_path / "w8.pth")
    assert set(report.unused) == other.keys() | rest.keys() - {"epoch"}
    assert str(report).splitlines() == [
        f"{tmp_path / 'w8.pth'} (student of a DWPose distillation, mmpose 1.x): 350 entries loaded",
        "  not used: teacher.* (1,200), student.head.loss_module.bias, distill_losses.a",
        "  fresh, not from the file: mask_fusion.stem.weight",
        "  beside the weights: optimizer, epoch",
    ]


KEYS = strategies.lists(strategies.sampled_from("abc"), min_size=1, max_size=4).map(".".join)


@given(strategies.sets(KEYS), strategies.sets(KEYS))
def test_groups_cover_every_unused_key_and_no_other(unused: set[str], used: set[str]) -> None:
    unused -= used
    groups = group_keys(sorted(unused), used)
    covered: list[str] = []
    for group in groups:
        name, _, count = group.partition(" ")
        members = [key for key in unused | used if key == name or (count and key.startswith(name[:-1]))]
        assert not count or len(members) == int(count.strip("()"))
        covered += members
    assert sorted(covered) == sorted(unused)


def test_missing_counters_are_one_group() -> None:
    counters = [f"layer{index}.bn.num_batches_tracked" for index in range(9)]
    assert group_keys(counters, ["layer1.bn.weight"]) == ["*.num_batches_tracked (9)"]
    assert len(group_keys(counters[1:], [counters[0]])) == 8
