"""Mean intersection over union, the metric of segmentation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from kdkit import Batch


def confusion(predicted: Tensor, label: Tensor, known: Tensor, classes: int = 2) -> Tensor:
    """Count the pixels of every pair of classes, [classes, classes]: truth down, prediction across.

    Classes are [B, H, W]; pixels where ``known`` [B, 1, H, W] is 0 are not counted.
    """
    pairs = (label * classes + predicted)[known[:, 0] > 0]
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def iou(counts: Tensor) -> Tensor:
    """Return each class's intersection over union, [classes]; NaN for a class that is nowhere.

    Source: Everingham et al., The Pascal Visual Object Classes Challenge: A Retrospective (IJCV 2015).
    """
    both = counts.diagonal().double()
    return both / (counts.sum(0) + counts.sum(1) - both)


@torch.inference_mode()
def classes_of(network: nn.Module, image: Tensor) -> Tensor:
    """Return the class a network finds at each pixel of [B, 3, H, W], as [B, H, W] on the CPU."""
    logits: Tensor = network.eval()(image.to(next(network.parameters()).device))
    return logits.argmax(1).cpu()


class Evaluate:
    """What a trainer calls with a network: gives metrics over the pixels of all pictures together."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.batches = batches

    def __call__(self, network: nn.Module) -> dict[str, float]:
        return self._score(lambda image: classes_of(network, image))

    def floor(self) -> dict[str, float]:
        """Return the metrics of finding nobody anywhere."""
        return self._score(lambda image: torch.zeros_like(image[:, 0], dtype=torch.int64))

    def _score(self, find: Callable[[Tensor], Tensor]) -> dict[str, float]:
        counts = [confusion(find(one["image"]), one["label"], one["known"]) for one in self.batches]
        values = iou(torch.stack(counts).sum(0))
        return {"val/mIoU": float(values.nanmean()), "val/person_IoU": float(values[1])}
