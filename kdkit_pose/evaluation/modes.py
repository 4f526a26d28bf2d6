"""Looking at a network without leaving a trace in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within it, ``module`` is in eval mode and records no gradients; after it every part's mode is as it
    was.

    ``module.train()`` afterwards would not do: it would also wake the parts that were frozen in eval mode.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training
