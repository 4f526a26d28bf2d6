"""Softening of logits."""

from dataclasses import dataclass

from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit.transforms.transform import TargetTransform


@dataclass(frozen=True)
class Temperature(TargetTransform):
    """Divides logits by a temperature: above 1 softens the distribution that a softmax makes of them.

    It acts on the target alone. A loss that softens student and teacher alike takes the temperature itself
    (:func:`kdkit.losses.channel_kl`).

    Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network (arXiv 1503.02531).
    """

    temperature: float

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ConfigurationError(f"Temperature: {self.temperature} must be finite and above 0")

    def __call__(self, target: Tensor) -> Tensor:
        """Return target / temperature."""
        return target / self.temperature
