"""A small dense task: networks with BatchNorm and dropout, noise as pictures, maps as targets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from kdkit import (
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    ModuleTeacher,
    Stage,
    Student,
    Supervise,
    losses,
)
from kdkit.sampling import ViewSampler, sample_generator


def network(channels: int = 3, maps: int = 5, width: int = 8, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout2d(0.2),
        nn.Conv2d(width, maps, 1),
    )


class MaskedNetwork(nn.Module):
    """Reads an image and a mask."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.trunk = network(channels=4, seed=seed)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.trunk(torch.cat([image, mask], 1))


class Pictures(Dataset[dict[str, Tensor]]):
    """Noise that depends on (seed, id, view) alone."""

    def __init__(self, size: int = 12) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Tensor]:
        index, view = key if isinstance(key, tuple) else (key, 0)
        draw = sample_generator(0, index, view)
        return {
            "image": torch.from_numpy(draw.standard_normal((3, 8, 6), dtype="float32")),
            "mask": torch.from_numpy(draw.integers(0, 2, (1, 8, 6)).astype("float32")),
            "heatmap": torch.from_numpy(draw.random((5, 8, 6), dtype="float32")),
            "visible": torch.from_numpy(draw.integers(0, 2, 5).astype("float32")),
            "id": torch.tensor(1000 + index),
        }


@dataclass
class Toy:
    """Makers of everything a distillation needs."""

    network: Callable[..., nn.Module] = network
    masked_network: Callable[..., nn.Module] = MaskedNetwork
    pictures: Callable[..., Pictures] = Pictures
    stages: tuple[int, int] = field(default=(2, 2))

    def batch(self, size: int = 4) -> dict[str, Tensor]:
        return next(iter(DataLoader(self.pictures(size), batch_size=size)))

    def loader(self, size: int = 12, batch_size: int = 4, workers: int = 0) -> DataLoader[dict[str, Tensor]]:
        data = self.pictures(size)
        return DataLoader(data, batch_size, sampler=ViewSampler(size, seed=3), num_workers=workers)

    def primary(self) -> ModuleTeacher:
        return ModuleTeacher("primary", self.network(width=12, seed=1), inputs="image", outputs="heatmap")

    def senior(self) -> ModuleTeacher:
        return ModuleTeacher("senior", self.masked_network(seed=2), inputs=("image", "mask"), outputs="heatmap")

    def student(self, seed: int = 4) -> Student:
        return Student(self.network(width=4, seed=seed), inputs="image", outputs="heatmap")

    def curriculum(self, **stage_options: object) -> Curriculum:
        first, second = self.stages
        return Curriculum(
            Stage(
                "primary",
                [
                    Supervise("heatmap", losses.mse, weight=0.5, region="visible"),
                    Distill(self.primary(), "heatmap", losses.mse, weight=0.5, region="visible"),
                ],
                until=Epochs(first),
            ),
            Stage(
                "senior",
                [
                    Supervise("heatmap", losses.mse, weight=0.5, region="visible"),
                    Distill(self.senior(), "heatmap", losses.mse, weight=0.5, region="visible"),
                ],
                until=Epochs(second),
                **stage_options,
            ),
        )

    def distiller(self, **stage_options: object) -> Distiller:
        return Distiller(self.student(), self.curriculum(**stage_options))


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors are faster without threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
