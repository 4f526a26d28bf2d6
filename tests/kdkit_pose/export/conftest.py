from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kdkit_pose import models
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.models import HeatmapLayer, PoseNetwork, create_fusion

SIZE = (64, 64)


def warm(network: PoseNetwork, size: tuple[int, int] = SIZE) -> PoseNetwork:
    """Give a network the statistics and the heatmaps, about 1 high, of a trained one: differences then count."""
    width, height = size
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(4, channels, height, width, generator=generator) for channels in (3, 1)[: len(network.inputs)]
    ]
    with torch.no_grad():
        for _ in range(3):
            network.train()(*inputs)
        head = network.get_submodule("final_layer")
        for parameter in head.parameters():
            nn.init.normal_(parameter, generator=generator)
        output = network.eval()(*inputs)
        heatmap = output["heatmap"] if isinstance(output, dict) else output
        for parameter in head.parameters():
            parameter /= heatmap.abs().max()
    return network.eval()


class TinyNetwork(PoseNetwork):
    """As small as a pose network can be; the exporter's time goes with the number of operators."""

    size_multiple = 4

    def __init__(self, num_keypoints: int = 17, mask_fusion: str = "none", features: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.name, self.num_keypoints, self.features = "tiny", num_keypoints, features
        self.intermediate_heatmaps = {}
        self.conv1 = nn.Conv2d(3, 8, 5, stride=4, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.act: nn.Module = nn.ReLU()
        self.final_layer = HeatmapLayer(8, num_keypoints)
        self.mask_fusion = create_fusion(mask_fusion, 8)
        self.mask_fusion.widen(self.conv1)

    def forward(
        self, image: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        self.check_inputs(image, mask)
        joined = image if mask is None else self.mask_fusion.fuse_image(image, mask)
        features = self.act(self.bn1(self.conv1(joined)))
        if mask is not None:
            features = self.mask_fusion.fuse_features(features, mask)
        heatmap: torch.Tensor = self.final_layer(features)
        return {"stem": features, "heatmap": heatmap} if self.features else heatmap


@pytest.fixture(scope="session")
def codec() -> Codec:
    return DARK(input_size=SIZE)


@pytest.fixture(scope="session")
def make() -> Callable[..., PoseNetwork]:
    """Makes a network, as if trained: a tiny one, or by its name."""

    def build(name: str | None = None, size: tuple[int, int] = SIZE, **options: Any) -> PoseNetwork:
        torch.manual_seed(0)
        return warm(models.create(name, **options) if name else TinyNetwork(**options), size)

    return build


@pytest.fixture(scope="session")
def student(make: Callable[..., PoseNetwork]) -> PoseNetwork:
    return make()


class Between(nn.Module):
    """An activation, and then what a function does to it: a place to put what cannot be exported."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.function(torch.relu(features))


@pytest.fixture
def altered(make: Callable[..., PoseNetwork]) -> Callable[..., PoseNetwork]:
    """Makes a network with a function behind its activation."""

    def build(function: Callable[[torch.Tensor], torch.Tensor]) -> PoseNetwork:
        network = make()
        network.act = Between(function)
        return network

    return build


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file that a failure must leave as it is, alone in its folder."""
    path = tmp_path / "student.onnx"
    path.write_bytes(b"what was there")
    return path


@pytest.fixture
def assert_kept(kept: Path) -> Callable[[], None]:
    def check() -> None:
        assert kept.read_bytes() == b"what was there"
        assert list(kept.parent.iterdir()) == [kept]

    return check
