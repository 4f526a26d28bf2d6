"""A small file that describes a huge network is refused before that is built."""

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit_pose import models
from kdkit_pose.masks import MaskPredictor
from kdkit_pose.masks.saving import load as load_masks


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"model": "hrnet_w8_small", "num_keypoints": "999999999"}, "claims 999,999,999 keypoints"),
        ({"model": "hrnet_w8_small", "num_keypoints": "9" * 5000}, "num_keypoints"),
        ({"model": "simplebaseline_resnet152", "num_keypoints": "17"}, "describes a network of .* but holds 3"),
    ],
)
def test_a_header_cannot_ask_for_more_than_the_file_holds(
    header: dict[str, str], words: str, tmp_path: Path
) -> None:
    save_file(
        {"final_layer.weight": torch.zeros(3)}, tmp_path / "a.safetensors", {"mask_fusion": "none", **header}
    )
    with pytest.raises(CheckpointError, match=words):
        models.load(tmp_path / "a.safetensors")


def test_weights_of_nothing_cannot_ask_for_heatmaps_without_number(tmp_path: Path) -> None:
    with torch.device("meta"):
        state = models.create("hrnet_w8_small").state_dict()
    claimed = {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}
    claimed["final_layer.weight"] = torch.zeros(()).expand(10**9, 8, 1, 1)
    torch.save(claimed, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="claims 1,000,000,000 keypoints"):
        models.load(tmp_path / "a.pth")


def test_a_mask_predictors_file_cannot_either(tmp_path: Path) -> None:
    header = {"mask_predictor": "fpn", "encoder": "resnet152", "input_size": "64x64", "threshold": "0.5"}
    save_file({"w": torch.zeros(3)}, tmp_path / "a.safetensors", {**header, "iou": "0.5", "iou_persons": "3"})
    with pytest.raises(CheckpointError, match=r"describes a network of .* but holds 3"):
        load_masks(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "name", ["hf-hub:somebody/resnet18", "hf_hub:somebody/resnet18", "local-dir:/tmp/resnet18"]
)
def test_a_name_from_a_file_never_reaches_a_hub(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match="timm has no model"):
        MaskPredictor("fpn", name)
    with pytest.raises(ConfigurationError):
        models.create(f"simplebaseline_{name}")
    assert time.monotonic() - started < 60  # nothing is waited for
