"""The mask predictor's losses: those of segmentation-models-pytorch, one value a pixel or a person."""

import segmentation_models_pytorch as smp
from torch import Tensor


class _DiceBySample(smp.losses.DiceLoss):  # type: ignore[misc]  # untyped
    """Dice of each "class" by itself, instead of their mean."""

    def aggregate_loss(self, loss: Tensor) -> Tensor:
        return loss


_BCE = smp.losses.SoftBCEWithLogitsLoss(reduction="none")
_DICE = _DiceBySample("multilabel", from_logits=True)


def bce(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of each pixel, [B, 1, H, W], for logits and a mask in 0..1 of that shape."""
    loss: Tensor = _BCE(logits, mask)
    return loss


def dice(logits: Tensor, mask: Tensor) -> Tensor:
    """1 - Dice coefficient of each person's mask, [B], for logits and a mask in 0..1, both [B, 1, H, W].

    Counts small persons as much as large ones. An empty mask gives 0: the coefficient is not defined for it.
    """
    # Persons take the place of classes, over which smp's loss gives one value each.
    loss: Tensor = _DICE(logits.transpose(0, 1), mask.transpose(0, 1))
    return loss
