"""Another order, or a choice, of a target's channels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.transforms.transform import TargetTransform


@dataclass(frozen=True)
class Channels(TargetTransform):
    """Picks channels by index: RGB to BGR, a teacher's keypoints in the student's order, a subset of classes.

    Args:
        order: for each channel of the result, the index of the channel it is taken from; None, or -1, for one
            that the target lacks.
        missing: the value that fills channels the target lacks.

    What is filled in is no knowledge: leave it out of the loss with a region.

    Raises:
        ConfigurationError: if the order picks nothing or holds what is no index, or the filling is not finite.

    Example:
        >>> import torch
        >>> Channels((2, 1, 0))(torch.tensor([[0.25, 0.5, 1.0]]))
        tensor([[1.0000, 0.5000, 0.2500]])
        >>> Channels((1, None))(torch.tensor([[0.25, 0.5, 1.0]]))
        tensor([[0.5000, 0.0000]])
    """

    order: Sequence[int | None]
    missing: float = 0.0

    def __post_init__(self) -> None:
        order = tuple(self.order)
        for index in order:
            if index is not None and (not isinstance(index, int) or isinstance(index, bool) or index < -1):
                raise ConfigurationError(
                    f"Channels: {index!r} in the order {order} is no channel's index: give 0 or above, or None "
                    f"for a channel that is missing"
                )
        # One way to write it, so that equal transforms are equal.
        object.__setattr__(self, "order", tuple(None if index == -1 else index for index in order))
        if all(index is None for index in self.order):
            raise ConfigurationError(f"Channels: the order {order} picks no channel")
        if not math.isfinite(self.missing):
            raise ConfigurationError(f"Channels: the filling is {self.missing}, it must be finite")

    def __call__(self, target: Tensor) -> Tensor:
        """Return the channels [B, len(order), ...] of a target [B, C, ...].

        Raises:
            BatchError: if the target has no channel dimension, or fewer channels than the order names.
        """
        needed = max(index for index in self.order if index is not None) + 1
        if target.ndim < 2 or target.shape[1] < needed:
            raise BatchError(
                f"Channels: the target has shape {tuple(target.shape)}, it must be [B, C, ...] with at least "
                f"{needed} channels for the order {self.order}"
            )
        # Not an index tensor: made on the host and sent to an accelerator, it would make the host wait.
        filling = torch.full_like(target[:, 0], self.missing)
        return torch.stack([filling if index is None else target[:, index] for index in self.order], 1)
