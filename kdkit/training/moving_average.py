"""The moving average of a network's weights."""

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of a network, in a few operations on all its tensors at once.

    Parameters and buffers of floating point are averaged; other buffers, such as BatchNorm's counts of batches,
    are the network's own, since a count's average means nothing. The first update copies the network.

    Args:
        network: the network to follow; it is copied, so it must be on its device by now.
        decay: in (0, 1), the share of the average that an update keeps.

    Attributes:
        module: the average, a network like the one followed.
        updates: how many there were.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network)
        self.updates = 0
        self._share = 1 - decay
        # Walking the tree at every update is slow. Parameters stay the same objects; a buffer may be replaced by
        # another tensor, so it is looked up again.
        self._parameters: tuple[list[Tensor], list[Tensor]]
        self._parameters = [*self.module.parameters()], [*network.parameters()]
        pairs = zip(self.module.modules(), network.modules(), strict=True)
        named = [(own._buffers, other._buffers, name) for own, other in pairs for name in own._buffers]
        # Each once, wherever it stands.
        self._buffers = {id(own[name]): (own, other, name) for own, other, name in named}.values()

    def count_replayed(self) -> None:
        """Count an update that a recorded step has made."""
        self.updates += 1

    @torch.no_grad()
    def update(self) -> None:
        """Move the average by the network as it is now."""
        own, followed = (list(tensors) for tensors in self._parameters)
        counts: list[tuple[Tensor, Tensor]] = []
        for mine, theirs, name in self._buffers:
            average, value = mine[name], theirs[name]
            if average is None or value is None:
                continue
            if average.is_floating_point():
                own.append(average)
                followed.append(value)
            else:
                counts.append((average, value))
        if own and self.updates:
            torch._foreach_lerp_(own, followed, self._share)
        elif own:
            torch._foreach_copy_(own, followed)
        if counts:
            torch._foreach_copy_([average for average, _ in counts], [value for _, value in counts])
        self.updates += 1
