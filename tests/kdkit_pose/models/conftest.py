from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kdkit.errors import CheckpointError
from kdkit_pose import models

State = Mapping[str, Tensor]


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask() -> Tensor:
    """Half-covered cells included, as warping gives them."""
    return torch.rand(2, 1, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def trained() -> nn.Module:
    """A network none of whose entries has the value it was built with."""
    torch.manual_seed(0)
    model = models.create("hrnet_w8_small")
    for value in model.state_dict().values():
        value.copy_(torch.rand_like(value) + 0.5 if value.is_floating_point() else value + 7)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):  # kept small, so that outputs stay finite and comparable
            nn.init.normal_(module.weight, std=0.1)
    return model.eval()


def _training_file(state: State) -> dict[str, Any]:
    worse = {f"module.{key}": torch.zeros_like(value) for key, value in state.items()}
    return {"epoch": 3, "model": "pose_hrnet", "state_dict": worse, "best_state_dict": dict(state)}


def _mmpose(state: State, head: str, final: str = "final_layer.") -> dict[str, Tensor]:
    renamed = {}
    for key, value in state.items():
        if key.startswith("final_layer."):
            renamed[key.replace("final_layer.", head + final)] = value
        else:
            renamed[(head if key.startswith("deconv_layers.") else "backbone.") + key] = value
    return renamed


def _mmpose_1(state: State) -> dict[str, Tensor]:
    return _mmpose(state, "head.") | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}


def _dwpose(state: State) -> dict[str, Tensor]:
    student = {f"student.{key}": value for key, value in _mmpose_1(state).items()}
    teacher = {f"teacher.{key}": torch.zeros(1) for key in _mmpose_1(state)}
    return student | teacher | {"distill_losses.loss_fea.align.weight": torch.zeros(2)}


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "bare": dict,
    "data parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    "lightning": lambda state: {"state_dict": {f"net.{key}": value for key, value in state.items()}},
    "lightning, with a loss and a metric": lambda state: {
        "state_dict": {
            **{f"model.{key}": value for key, value in state.items()},
            **{"criterion.weight": torch.ones(17), "metric.total": torch.zeros(())},
        }
    },
    "averaged": lambda state: LAYOUTS["data parallel"](state) | {"n_averaged": torch.tensor(7)},
    "training file": lambda state: {"state_dict": LAYOUTS["data parallel"](state), "optimizer": {"state": {}}},
    "model section": lambda state: {"epoch": 3, "model": dict(state)},
    "official training file": _training_file,
    "mmpose 0.x": lambda state: {"meta": {"epoch": 210}, "state_dict": _mmpose(state, "keypoint_head.")},
    "mmpose 0.x, head in a sequence": lambda state: {
        "state_dict": _mmpose(state, "keypoint_head.", "final_layer.0.")
    },
    "mmpose 1.x": lambda state: {"meta": {}, "state_dict": _mmpose_1(state), "ema_state_dict": {}},
    "dwpose": lambda state: {"meta": {}, "state_dict": _dwpose(state)},
}
"""By whose names: what a file holds that has the weights of the official state dict."""


@pytest.fixture(params=[*LAYOUTS, "safetensors"])
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[State], Path]:
    """Writes a state dict as somebody else's program would."""

    def write(state: State) -> Path:
        path = tmp_path / "weights.pth"
        if request.param == "safetensors":
            save_file(dict(state), path)
        else:
            torch.save(LAYOUTS[request.param](state), path)
        return path

    return write


@pytest.fixture
def assert_refused() -> Callable[..., str]:
    """Asserts that loading fails in words, and leaves the network as it was."""

    def check(model: nn.Module, path: Path, *words: str, **options: Any) -> str:
        before = {key: value.clone() for key, value in model.state_dict().items()}
        with pytest.raises(CheckpointError) as caught:
            models.load_checkpoint(model, path, **options)
        message = str(caught.value)
        for word in (path.name, *words):
            assert word in message
        after = model.state_dict()
        assert before.keys() == after.keys()
        for key, value in before.items():
            assert value.is_meta or torch.equal(value, after[key]), key
        return message

    return check


@pytest.fixture(scope="session")
def random_weights() -> Callable[[nn.Module], nn.Module]:
    """Gives every entry of a network another value than it was built with, so small that outputs stay finite."""

    def fill(model: nn.Module, seed: int = 0) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        for key, value in model.state_dict().items():
            if not value.is_floating_point():
                value.add_(7)
            elif value.ndim == 1:  # BatchNorm's and biases: positive, as variances have to be
                value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.75)
            else:
                fan = value[0].numel() if not key.startswith("deconv_layers") else value.shape[0] * 4
                value.copy_(torch.randn(value.shape, generator=generator) / fan**0.5)
        return model

    return fill
