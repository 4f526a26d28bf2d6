"""How well masks are predicted, beside what costs nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdkit.errors import ConfigurationError
from kdkit_pose.evaluation.modes import evaluating
from kdkit_pose.masks.predictor import MaskPredictor


@dataclass(frozen=True)
class MaskScores:
    """Mean intersection over union with the annotated masks, 0 to 1, over persons, at the input's resolution.

    Attributes:
        iou: Of the predicted masks.
        ones: Of a mask of ones over the whole crop: what a person without a mask is given.
        box: Of the person's annotated box, filled: what a box alone says.
        persons: The number of persons.
    """

    iou: float
    ones: float
    box: float
    persons: int

    def __str__(self) -> str:
        return (
            f"IoU {self.iou:.3f} on {self.persons} persons (a mask of ones: {self.ones:.3f}, the box: "
            f"{self.box:.3f})"
        )


def intersection_over_union(found: Tensor, truth: Tensor) -> Tensor:
    """The IoU [B] of boolean masks [B, ...]; 1 where both are empty.

    >>> intersection_over_union(torch.tensor([[True, True, False]]), torch.tensor([[False, True, True]]))
    tensor([0.3333])
    """
    found, truth = found.flatten(1), truth.flatten(1)
    union = (found | truth).sum(1)
    return torch.where(union > 0, (found & truth).sum(1) / union.clamp_min(1), 1.0)


class MaskEvaluator:
    """Measures a predictor on the same persons whenever it is called, for a trainer: ``{"val/IoU": ...}``.

    Args:
        loader: Gives batches of `masked_persons`, unvaried.
    """

    def __init__(self, loader: Iterable[Mapping[str, Any]]) -> None:
        self._loader = loader

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """The predictor's mean IoU."""
        return {"val/IoU": self.scores(module).iou}

    def scores(self, module: nn.Module) -> MaskScores:
        """The predictor's mean IoU and that of what costs nothing.

        Raises:
            ConfigurationError: The module is no `MaskPredictor`.
        """
        if not isinstance(module, MaskPredictor):
            raise ConfigurationError(f"a MaskPredictor is needed, found a {type(module).__name__}")
        device = next(module.parameters()).device
        parts: list[Tensor] = []
        with evaluating(module):
            for batch in self._loader:
                truth = batch["mask"].to(device) >= 0.5
                box = batch["box"].to(device)
                predicted = module.probability(batch["image"].to(device), box) >= module.threshold
                candidates = (predicted, torch.ones_like(truth), box >= 0.5)
                parts.append(torch.stack([intersection_over_union(found, truth) for found in candidates]).cpu())
        values = torch.cat(parts, dim=1)
        iou, ones, box = values.double().mean(1).tolist()
        return MaskScores(iou, ones, box, persons=values.shape[1])
