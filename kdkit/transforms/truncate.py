"""Removal of low values from target maps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit.transforms.transform import TargetTransform


@dataclass(frozen=True)
class Truncate(TargetTransform):
    """Makes every value below the floor 0 and leaves the others as they are: noise goes, the peak's shape stays.

    Example:
        >>> import torch
        >>> Truncate(0.25)(torch.tensor([[-0.5, 0.125, 0.75]]))
        tensor([[0.0000, 0.0000, 0.7500]])
    """

    floor: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.floor < float("inf"):
            raise ConfigurationError(f"Truncate: the floor is {self.floor}, it must be finite and not negative")

    def __call__(self, target: Tensor) -> Tensor:
        """Return the target with values below the floor replaced by 0."""
        return torch.where(target < self.floor, torch.zeros_like(target), target)
