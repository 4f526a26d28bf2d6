import pytest
import torch
from torch import Tensor, nn

from kdkit import Student


class TwoHeads(nn.Module):
    """A trunk and two heads of it, without dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 4, 1)
        self.first, self.second = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 5, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        shared = torch.tanh(self.trunk(image))
        return self.first(shared), self.second(shared)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student(TwoHeads(), inputs="image", outputs=("first", "second"))


@pytest.fixture
def image() -> dict[str, Tensor]:
    return {"image": torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))}
