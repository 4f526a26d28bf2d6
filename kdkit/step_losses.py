"""What the distiller gives for a batch."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepLosses:
    """The losses of one batch, on its device.

    Attributes:
        total: the sum of the weighted parts; call ``backward`` on it.
        parts: each objective's weighted loss by name, detached; an objective of weight 0 is absent.
        samples: each objective's unweighted loss of every sample, [B], detached.
        weights: each objective's weight at this step.
    """

    total: Tensor
    parts: dict[str, Tensor]
    samples: dict[str, Tensor]
    weights: dict[str, float]
