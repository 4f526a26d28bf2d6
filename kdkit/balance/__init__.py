"""Balances: they make several terms of a loss comparable, so that weights say what they mean.

A heatmap's squared error and a divergence of distributions may differ by a factor of thousands, and the factor
changes as the student learns. One balance given to several objectives takes it out:

>>> import torch
>>> from torch import nn
>>> from kdkit.student import Student
>>> balance = Magnitude(decay=0.9)
>>> losses = {"supervise/heatmap": torch.tensor(0.002), "distill/senior/heatmap": torch.tensor(4.0)}
>>> balanced = balance.balanced(losses, Student(nn.Identity()), {}, {})
>>> [round(loss.item(), 3) for loss in balanced.values()]
[2.001, 2.001]

:class:`Magnitude` makes losses equally large, :class:`GradientNorm` makes their gradients equally large, and
:class:`Uncertainty` learns a factor for each.
"""

from kdkit.balance.balance import Balance
from kdkit.balance.gradient_norm import GradientNorm
from kdkit.balance.magnitude import Magnitude
from kdkit.balance.uncertainty import Uncertainty

__all__ = ["Balance", "GradientNorm", "Magnitude", "Uncertainty"]
