"""Losses: pure functions of (prediction, target) that return an *unreduced* map, batch dimension first.

Reduction, weighting and masking are the objective's business. Parameters are bound with ``functools.partial``:

>>> import torch
>>> from functools import partial
>>> from kdkit import losses
>>> soft_kl = partial(losses.channel_kl, temperature=4.0)
>>> soft_kl(torch.zeros(2, 10, 8, 8), torch.zeros(2, 10, 8, 8)).shape
torch.Size([2, 1, 8, 8])
"""

from kdkit.losses.cosine import cosine
from kdkit.losses.divergence import channel_kl, spatial_kl
from kdkit.losses.pointwise import bce_with_logits, l1, mse, smooth_l1
from kdkit.losses.shapes import require_same_shape

__all__ = [
    "bce_with_logits",
    "channel_kl",
    "cosine",
    "l1",
    "mse",
    "require_same_shape",
    "smooth_l1",
    "spatial_kl",
]
