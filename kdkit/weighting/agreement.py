"""How well a teacher's target agrees with the ground truth."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from kdkit.batch import Batch, read_field
from kdkit.errors import BatchError, ConfigurationError
from kdkit.naming import callable_name
from kdkit.weighting.granularity import Granularity, average, require_granularity
from kdkit.weighting.score import Score


@dataclass(frozen=True, repr=False)
class Agreement(Score):
    """Weights ``exp(-loss(target, truth) / temperature)``: 1 for a target without loss, less the more it has.

    As the weights of an :class:`kdkit.EnsembleTeacher`, a teacher's share is so the softmax over teachers of
    ``-loss / temperature``.

    Args:
        field: the batch field that holds the ground truth: maps, or class labels if the loss takes them.
        loss: a function (target, truth) -> unreduced map [B, ...], not negative.
        temperature: the loss at which the weight is 1/e; a higher one makes weights more equal.
        per: over what the loss is averaged: ``sample`` gives weights [B], ``channel`` [B, K], ``position``
            [B, 1, ...].
        region: a batch field laid on the loss map from the left: the mean is weighted by it, so that joints
            without a label do not count. What lies wholly outside of it gets the weight 1.

    Raises:
        ConfigurationError: if a part is not what it must be.

    Source: the idea is that of CA-MKD (arXiv 2201.00007), but not the formula: it weighs the distillation loss
    of each of K teachers by ``(1 - exp(L_k) / sum_j exp(L_j)) / (K - 1)``, with the cross-entropy L of sample
    and teacher. Our shares weigh the targets. For two teachers and a temperature of 1 the two weights are
    equal; for more, CA-MKD gives none more than 1 / (K - 1).

    Example:
        >>> import torch
        >>> from kdkit import losses
        >>> batch = {"depth": torch.tensor([[1.0], [1.0]])}
        >>> Agreement("depth", losses.mse).log_weight(torch.tensor([[1.0], [3.0]]), batch).exp()
        tensor([1.0000, 0.0183])
    """

    field: str
    loss: Callable[..., Tensor]
    temperature: float = 1.0
    per: Granularity = "sample"
    region: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise ConfigurationError(f"Agreement: the loss {self.loss!r} is not a function")
        if not 0 < self.temperature < math.inf:
            raise ConfigurationError(
                f"Agreement: the temperature is {self.temperature}, it must be finite and above 0"
            )
        require_granularity(self.per, "Agreement")

    @property
    def reads(self) -> tuple[str, ...]:
        """The ground truth's field and the region's."""
        return (self.field,) if self.region is None else (self.field, self.region)

    def log_weight(self, target: Tensor, batch: Batch) -> Tensor:
        """Return -loss / temperature, [B], [B, K] or [B, 1, ...]; a loss below 0 counts as 0.

        Raises:
            BatchError: if the batch lacks a field, or target, truth and region do not fit each other.
        """
        truth = read_field(batch, self.field, "Agreement")
        region = None if self.region is None else read_field(batch, self.region, "Agreement")
        try:
            loss_map = self.loss(target, truth)
            return -average(loss_map, self.per, region).clamp_min(0) / self.temperature
        except BatchError as error:
            raise BatchError(
                f"{self!r} of a raw target {tuple(target.shape)} with the truth {tuple(truth.shape)}: {error} "
                f"(a TransformedTeacher brings targets to the truth's shape)"
            ) from error

    def __repr__(self) -> str:
        parts: dict[str, Any] = {"temperature": self.temperature, "per": self.per}
        if self.region is not None:
            parts["region"] = self.region
        options = "".join(f", {name}={value!r}" for name, value in parts.items())
        return f"Agreement({self.field!r}, {callable_name(self.loss)}{options})"
