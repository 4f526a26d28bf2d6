"""Binarization of target maps."""

from dataclasses import dataclass

from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit.transforms.transform import TargetTransform


@dataclass(frozen=True)
class Binarize(TargetTransform):
    """Makes every value at or above the threshold 1 and every other 0.

    It suppresses noise below the threshold and gives a small student a simpler shape to imitate. On a
    Gaussian heatmap of peak 1 and standard deviation s, threshold t keeps a disc of radius s * sqrt(-2 ln t):
    2.35 cells for s = 2 and t = 0.5. Applying it twice is applying it once.

    Args:
        threshold: in (0, 1].

    Source: Orderly Dual-Teacher Knowledge Distillation (arXiv 2104.10414), abstract; the threshold is ours.

    Example:
        >>> import torch
        >>> Binarize(0.5)(torch.tensor([[0.2, 0.5, 0.9]]))
        tensor([[0., 1., 1.]])
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigurationError(f"Binarize: the threshold is {self.threshold}, it must be in (0, 1]")

    def __call__(self, target: Tensor) -> Tensor:
        """Return a map of zeros and ones in the target's type."""
        return (target >= self.threshold).to(target.dtype)
