"""What share each of several teachers has, from the logarithms of their weights."""

from typing import Literal

import torch
from torch import Tensor

Choice = Literal["share", "best"]


def teacher_shares(log_weights: Tensor, choose: Choice) -> Tensor:
    """Return shares that sum to 1 over the teachers.

    ``share`` gives every teacher its weight divided by the sum of all: the softmax of the logarithms. Where
    all weights are 0 all shares are equal. ``best`` gives everything to the teacher of the largest weight, of
    equals to the first.

    Args:
        log_weights: [T, ...], teachers first; -inf for a weight of 0.
        choose: ``share`` or ``best``.

    >>> teacher_shares(torch.tensor([[3.0, 0.0], [1.0, 0.0]]).log(), "share")
    tensor([[0.7500, 0.5000],
            [0.2500, 0.5000]])
    """
    if choose == "best":
        chosen = log_weights.argmax(0, keepdim=True)
        return torch.zeros_like(log_weights).scatter_(0, chosen, 1.0)
    nobody = log_weights.amax(0, keepdim=True).isneginf()
    return torch.where(nobody, 0, log_weights).softmax(0)
