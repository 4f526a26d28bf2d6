from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit_pose import models
from kdkit_pose.models.saving import load_described

Refused = Callable[..., str]


def write_shapes(path: Path, name: str, **arguments: object) -> Path:
    """Write a checkpoint with a network's names and shapes, of repeated numbers so that it is small."""
    with torch.device("meta"):
        state = models.create(name, **arguments).state_dict()
    torch.save({key: torch.zeros(()).expand(value.shape) for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize(
    ("saved", "built", "words"),
    [
        ("hrnet_w32", "hrnet_w48", "this file is an HRNet-W32, the network built is HRNet-W48"),
        ("hrnet_w48", "hrnet_w32", "this file is an HRNet-W48, the network built is HRNet-W32"),
        ("hrnet_w16", "hrnet_w16_small", "this file is an HRNet-W16, the network built is small HRNet-W16"),
        ("hrnet_w16_small", "hrnet_w16", "this file is a small HRNet-W16, the network built is HRNet-W16"),
        ("hrnet_w32", "simplebaseline_resnet50", "an HRNet-W32, the network built is SimpleBaseline-50"),
        ("simplebaseline_resnet50", "hrnet_w16", "a SimpleBaseline-50, the network built is HRNet-W16"),
        ("simplebaseline_resnet50", "simplebaseline_resnet18", "a SimpleBaseline-50, the network built is Simple"),
        ("lpn_50", "simplebaseline_resnet50", "an LPN-50, the network built is SimpleBaseline-50"),
        ("litehrnet_18", "litehrnet_30", "a Lite-HRNet-18, the network built is Lite-HRNet-30"),
    ],
)
def test_another_width_or_depth_is_named(
    assert_refused: Refused, tmp_path: Path, saved: str, built: str, words: str
) -> None:
    with torch.device("meta"):
        model = models.create(built)
    path = write_shapes(tmp_path / "weights.pth", saved)
    assert_refused(model, path, words, f"use models.create('{saved}', ...)")
    assert_refused(model, path, words, trunk_only=True)


def test_an_unknown_width_is_described(assert_refused: Refused, tmp_path: Path, trained: nn.Module) -> None:
    state = dict(trained.state_dict())
    state["stage2.0.branches.0.0.conv1.weight"] = torch.zeros(40, 40, 3, 3)
    torch.save(state, tmp_path / "w40.pth")
    words = "HRNet of width 40 with 1, 1, 1 modules in stages 2 to 4, unknown to kdkit"
    assert_refused(models.create("hrnet_w8_small"), tmp_path / "w40.pth", words, "give another file")


@pytest.mark.parametrize("name", ["hrnet_w8_small", "simplebaseline_resnet50", "hourglass4_128", "lpn_50"])
def test_another_number_of_keypoints_is_named(assert_refused: Refused, tmp_path: Path, name: str) -> None:
    path = write_shapes(tmp_path / "crowd.pth", name, num_keypoints=14)
    with torch.device("meta"):
        model = models.create(name)
    words = ("predicts 14 keypoints, the network built 17", f"use models.create({name!r}, num_keypoints=14)")
    message = assert_refused(model, path, *words)
    assert "trunk_only=True" in message


def test_kdkits_own_file_of_another_network_is_named_by_its_header(
    assert_refused: Refused, tmp_path: Path
) -> None:
    models.save(models.create("simplebaseline_mobilenetv2_100", 3), tmp_path / "student.safetensors")
    path, words = tmp_path / "student.safetensors", "use models.create('simplebaseline_mobilenetv2_100', ...)"
    assert_refused(models.create("hrnet_w8_small"), path, words)
    assert_refused(models.create("simplebaseline_mobilenetv2_100"), path, "3 keypoints, the network built 17")


def test_a_network_of_ones_own_configuration_loads_and_is_told_of_other_keypoints(
    assert_refused: Refused, tmp_path: Path
) -> None:
    config = models.HRNetConfig("mine", width=4, modules=(1, 1, 1), blocks=1, first_stage_blocks=1)
    state = models.PoseHRNet("mine", config, 5).state_dict()
    torch.save(state, tmp_path / "mine.pth")
    network = models.PoseHRNet("mine", config, 5)
    models.load_checkpoint(network, tmp_path / "mine.pth")
    assert torch.equal(network.conv1.weight, state["conv1.weight"])
    with pytest.raises(
        CheckpointError, match=r"HRNet of width 4 with 1, 1, 1 modules.*unknown to kdkit: give another"
    ):
        models.load(tmp_path / "mine.pth")
    words = "predicts 5 keypoints, the network built 6"
    assert_refused(models.PoseHRNet("mine", config, 6), tmp_path / "mine.pth", words)


@pytest.mark.parametrize(
    ("found", "built"),
    [
        ("concat", "none"),
        ("concat", "add"),
        ("concat", "multiply"),
        ("add", "none"),
        ("add", "concat"),
        ("add", "multiply"),
    ],
)
def test_another_mask_fusion_is_named(assert_refused: Refused, tmp_path: Path, found: str, built: str) -> None:
    path = write_shapes(tmp_path / "senior.pth", "hrnet_w8_small", mask_fusion=found)
    says = "reads no mask" if built == "none" else f"has {built!r}"
    words = (f"mask fusion {found!r}", says, f"use models.create('hrnet_w8_small', mask_fusion={found!r})")
    assert_refused(models.create("hrnet_w8_small", mask_fusion=built), path, *words)


@pytest.mark.parametrize("built", ["none", "concat", "add"])
def test_a_saved_multiply_network_is_known_by_its_header(
    assert_refused: Refused, tmp_path: Path, built: str
) -> None:
    models.save(models.create("hrnet_w8_small", mask_fusion="multiply"), tmp_path / "senior.safetensors")
    model = models.create("hrnet_w8_small", mask_fusion=built)
    assert_refused(model, tmp_path / "senior.safetensors", "mask fusion 'multiply'")


def test_a_headless_network_asks_for_trunk_only(
    assert_refused: Refused, tmp_path: Path, trained: nn.Module
) -> None:
    state = {key: value for key, value in trained.state_dict().items() if not key.startswith("final_layer.")}
    torch.save(state, tmp_path / "trunk.pth")
    assert_refused(models.create("hrnet_w8_small"), tmp_path / "trunk.pth", "head", "trunk_only=True")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("bn2.bias"), "bn2.bias is missing"),
        (lambda state: state.update({"neck.weight": torch.zeros(1)}), "neck.weight has no place in it"),
        (lambda state: state.update({"bn1.bias": torch.zeros(9)}), "bn1.bias is [9], not [32]"),
        (lambda state: state.update({"conv1.weight": torch.zeros(32, 1, 3, 3)}), "conv1.weight is [32, 1, 3, 3]"),
    ],
)
@pytest.mark.parametrize("fusion", ["none", "concat"])
def test_one_entry_that_does_not_fit_refuses_all(
    assert_refused: Refused,
    tmp_path: Path,
    trained: nn.Module,
    change: Callable[[dict[str, Tensor]], object],
    words: str,
    fusion: str,
) -> None:
    state = dict(trained.state_dict())
    change(state)
    torch.save(state, tmp_path / "weights.pth")
    model = models.create("hrnet_w8_small", mask_fusion=fusion)
    assert_refused(model, tmp_path / "weights.pth", "does not fit hrnet_w8_small", words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"layer1.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(2)}, "fc.weight"),
        ({"conv1.weight": torch.zeros(()), "stage2.0.branches.0.0.conv1.weight": torch.zeros(())}, "conv1"),
        ({"epoch": 3, "perf": 0.7}, "holds no weights, but 'epoch', 'perf'"),
        ({}, "holds no weights, but nothing"),
        ([torch.zeros(1)], "one object of type list"),
        (torch.zeros(1), "one object of type Tensor"),
    ],
)
def test_a_foreign_file_is_described(assert_refused: Refused, tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "foreign.pth")
    assert_refused(models.create("hrnet_w8_small"), tmp_path / "foreign.pth", words)


def test_load_refuses_a_trunk_and_says_how_to_start_from_it(tmp_path: Path) -> None:
    state = models.create("hrnet_w8_small").state_dict()
    torch.save({key: value for key, value in state.items() if not key.startswith("final")}, tmp_path / "trunk.pth")
    words = r"a small HRNet-W8 without a heatmap head.*models.create\('hrnet_w8_small'\), path, trunk_only=True"
    with pytest.raises(CheckpointError, match=words):
        models.load(tmp_path / "trunk.pth")


def test_load_keeps_the_callers_own_mistakes_apart_from_the_files(tmp_path: Path) -> None:
    models.save(models.create("hrnet_w8_small"), tmp_path / "student.safetensors")
    with pytest.raises(ConfigurationError, match="no feature is called 'stage9'"):
        models.load(tmp_path / "student.safetensors", features=("stage9",))


def test_one_missing_entry_of_a_network_without_a_known_layout_is_named(
    assert_refused: Refused, tmp_path: Path
) -> None:
    model = models.create("simplebaseline_mobilenetv2_100")
    state = {key: value for key, value in model.state_dict().items() if key != "backbone.bn1.bias"}
    torch.save(state, tmp_path / "own.pth")
    words = "does not fit simplebaseline_mobilenetv2_100: backbone.bn1.bias is missing"
    assert_refused(model, tmp_path / "own.pth", words)


def test_a_wrapped_network_is_not_loaded_into(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is a Sequential.*give the network inside"):
        models.load_checkpoint(nn.Sequential(models.create("hrnet_w8_small")), tmp_path / "any.pth")


@pytest.mark.parametrize(
    "extra",
    [
        "head.conv_layers.0.weight",
        "keypoint_head.conv_layers.0.weight",
        "head.final_layer.1.weight",
        "neck.conv.weight",
    ],
)
@pytest.mark.parametrize("name", ["hrnet_w8_small", "simplebaseline_test_resnet"])
def test_layers_of_mmpose_that_the_network_has_not_are_named(
    assert_refused: Refused, tmp_path: Path, name: str, extra: str
) -> None:
    model = models.create(name)
    head = extra.split(".")[0] if "head" in extra else "head"
    state = {key.removeprefix("backbone."): value for key, value in model.state_dict().items()}
    renamed = {
        f"{head}.{key}" if key.startswith(model.head_prefixes) else f"backbone.{key}": value
        for key, value in state.items()
    }
    torch.save({"meta": {}, "state_dict": renamed | {extra: torch.ones(4)}}, tmp_path / "mmpose.pth")
    place = extra.replace("head.final_layer", "final_layer")
    assert_refused(model, tmp_path / "mmpose.pth", f": {place} has no place in it")
    # The trunk alone is read without them.
    report = models.load_checkpoint(model, tmp_path / "mmpose.pth", trunk_only=True)
    assert extra in report.unused


@pytest.mark.parametrize("headed", [True, False])
def test_a_weight_that_is_there_twice_is_refused(assert_refused: Refused, tmp_path: Path, headed: bool) -> None:
    model = models.create("simplebaseline_test_resnet")
    state = {
        key: value
        for key, value in model.state_dict().items()
        if headed or not key.startswith(model.head_prefixes)
    }
    torch.save(state | {"conv1.0.weight": torch.zeros(1)}, tmp_path / "both.pth")
    assert_refused(
        model, tmp_path / "both.pth", "conv1.0.weight twice", "as backbone.conv1.0.weight", "as conv1.0"
    )


def test_a_headers_weight_that_is_there_twice_is_refused(assert_refused: Refused, tmp_path: Path) -> None:
    model = models.create("simplebaseline_test_resnet")
    state = model.state_dict() | {"conv1.0.weight": torch.zeros(1)}
    save_file(state, tmp_path / "both.safetensors", models.describe(model))
    assert_refused(model, tmp_path / "both.safetensors", "backbone.conv1.0.weight twice")


def test_a_header_of_another_network_with_equal_shapes_is_refused(assert_refused: Refused, tmp_path: Path) -> None:
    # The same entries, but one pads as PyTorch does and the other as TensorFlow: the heatmaps differ.
    name, other = "simplebaseline_tf_efficientnet_lite0", "simplebaseline_efficientnet_lite0"
    model, path = models.create(other), tmp_path / "student.safetensors"
    state = models.create(name).state_dict()
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in model.state_dict().items()
    }
    save_file(state, path, models.describe(model) | {"model": name})
    words = (
        f"this file is a {name}, the network built is {model.title}",
        f"use models.create({name!r}, ...), or --model",
    )
    assert_refused(model, path, *words)
    with pytest.raises(CheckpointError, match=f"the network built is {model.title}"):
        load_described(path, model=other)
    # A trunk to start from may be another network's, and a file without a header is what it fits.
    models.load_checkpoint(model, path, trunk_only=True)
    save_file(state, path)
    models.load_checkpoint(model, path)


def test_a_mask_predictors_file_is_named_and_what_it_is_for(assert_refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    save_file({"network.encoder.conv.weight": torch.zeros(1)}, path, {"mask_predictor": "fpn", "encoder": "any"})
    words = "a person-mask predictor: it finds no keypoints; kdkit-pose predict-masks makes masks with it"
    with pytest.raises(CheckpointError, match=words):
        models.load(path)
    assert_refused(models.create("hrnet_w8_small"), path, "is a person-mask predictor", "predict-masks")
    assert "person-mask predictor, it finds no keypoints" in str(models.recognise(path))


def test_a_tag_of_weights_makes_no_other_network(tmp_path: Path) -> None:
    tagged, bare = "simplebaseline_test_resnet.r160_in1k", "simplebaseline_test_resnet"
    for saved, built in ((tagged, bare), (bare, tagged)):
        models.save(source := models.create(saved), path := tmp_path / "student.safetensors")
        models.load_checkpoint(network := models.create(built), path)
        assert torch.equal(next(network.parameters()), next(source.parameters()))
