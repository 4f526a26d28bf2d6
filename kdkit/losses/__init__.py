"""Losses: pure functions of (prediction, target) that return an *unreduced* map, batch dimension first.

Reduction, weighting and masking are the objective's business. Parameters are bound with ``functools.partial``:

>>> import torch
>>> from functools import partial
>>> from kdkit import losses
>>> soft_kl = partial(losses.channel_kl, temperature=4.0)
>>> soft_kl(torch.zeros(2, 10, 8, 8), torch.zeros(2, 10, 8, 8)).shape
torch.Size([2, 1, 8, 8])

Which function is which paper's:

| paper | function | student and teacher may differ in |
|---|---|---|
| Hinton et al., KD (1503.02531) | `channel_kl` | nothing |
| Zhao et al., DKD (2203.08679) | `decoupled_kl` | nothing; needs labels |
| Huang et al., DIST (2205.10536) | `dist` | nothing |
| Shu et al., channel-wise, CWD (2011.13256) | `spatial_kl` | nothing |
| Romero et al., FitNets (1412.6550) | `hint` | nothing (an Adaptor brings the channels together) |
| Zagoruyko and Komodakis, attention (1612.03928) | `attention_transfer` | channels |
| Liu et al., pair-wise, SKD (1903.04197) | `pairwise_similarity` | channels |
| Park et al., RKD (1904.05068) | `relational_distance`, `relational_angle` | everything but the samples |
| Yang et al., MGD (2205.01529) | `masked_generative`, on a `MaskedGeneration` | nothing |

Without a paper of their own: `mse`, `l1`, `smooth_l1`, `cosine` of values; `bce` of probabilities;
`bce_with_logits`, `cross_entropy` of classes; `heatmap_kl`, where the target is a heatmap and the prediction the
logits of a place.

Features of other channels are compared as they are where the loss allows it:

>>> student, teacher = torch.rand(2, 16, 8, 8), torch.rand(2, 64, 8, 8)
>>> losses.attention_transfer(student, teacher).shape
torch.Size([2, 1, 8, 8])
>>> losses.pairwise_similarity(student, teacher, patch=2).shape
torch.Size([2, 16, 16])

and of other sizes too where only the samples' relations count:

>>> losses.relational_distance(torch.rand(4, 10), teacher.repeat(2, 1, 1, 1)).shape
torch.Size([4, 4])

Every loss computes in float32 at least and returns that, whatever precision it is given; float64 stays. Degenerate
input (a map of zeros, equal samples, one sample) gives finite values and gradients; NaN stays NaN. A shape that
does not fit is a :class:`~kdkit.errors.BatchError` that says what to do:

>>> losses.mse(torch.zeros(2, 17, 64, 48), torch.zeros(2, 17, 96, 72))
Traceback (most recent call last):
    ...
kdkit.errors.BatchError: the student's map is 64x48 and the target's 96x72: add transform=Resize(64, 48)

A loss of your own is any function of this form; ``require_same_shape`` and ``require_same_positions`` give it the
same errors.
"""

from kdkit.losses.attention_transfer import attention_transfer
from kdkit.losses.cosine import cosine
from kdkit.losses.cross_entropy import cross_entropy
from kdkit.losses.decoupled_kl import decoupled_kl
from kdkit.losses.dist import dist
from kdkit.losses.divergence import channel_kl, spatial_kl
from kdkit.losses.heatmap_kl import heatmap_kl
from kdkit.losses.hint import hint
from kdkit.losses.masked_generative import masked_generative
from kdkit.losses.pairwise_similarity import pairwise_similarity
from kdkit.losses.pointwise import bce, bce_with_logits, l1, mse, smooth_l1
from kdkit.losses.relational import relational_angle, relational_distance
from kdkit.losses.shapes import require_same_positions, require_same_shape

__all__ = [
    "attention_transfer",
    "bce",
    "bce_with_logits",
    "channel_kl",
    "cosine",
    "cross_entropy",
    "decoupled_kl",
    "dist",
    "heatmap_kl",
    "hint",
    "l1",
    "masked_generative",
    "mse",
    "pairwise_similarity",
    "relational_angle",
    "relational_distance",
    "require_same_positions",
    "require_same_shape",
    "smooth_l1",
    "spatial_kl",
]
