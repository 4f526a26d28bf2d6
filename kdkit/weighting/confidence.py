"""How sure a teacher is, from its target alone."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from kdkit.batch import Batch
from kdkit.errors import BatchError, ConfigurationError
from kdkit.weighting.granularity import Granularity, average, require_granularity
from kdkit.weighting.score import Score

Kind = Literal["peak", "probability", "entropy"]


@dataclass(frozen=True)
class Confidence(Score):
    """Weights by a teacher's own confidence, in [0, 1]; no ground truth is needed.

    ``peak`` is the height of each heatmap of [B, K, ...], cut to [0, 1]: a weight [B, K]. The others make a
    distribution of logits [B, C] or [B, C, ...] by a softmax over the channels, and give a weight [B] or
    [B, 1, ...]: ``probability`` is the largest of its C probabilities p, 1/C at the least; ``entropy`` is
    1 + sum(p log p) / log C, 0 for a uniform distribution and 1 for a certain one.

    A confident teacher may still be wrong: :class:`Agreement` asks the ground truth.

    Args:
        kind: ``peak``, ``probability`` or ``entropy``.
        per: what gets one weight, the mean of the finer ones: ``sample`` [B], ``channel`` [B, K] (of ``peak``)
            or ``position`` [B, 1, ...] (of the others, on dense logits).
        temperature: divides the logits; above 1 the teacher counts as less sure. Not for ``peak``.

    Raises:
        ConfigurationError: if a part is not what it must be, or ``per`` is finer than what the kind gives.

    Source: ``peak`` is the keypoint score of the top-down pose protocol (Simple Baselines, arXiv 1804.06208);
    ``probability`` is the baseline of Hendrycks and Gimpel (arXiv 1610.02136); ``entropy`` is Shannon's,
    divided by its maximum. That they weigh a loss is ours.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[9.0, 0.0], [0.0, 0.0]])
        >>> Confidence("probability").log_weight(logits, {}).exp()
        tensor([0.9999, 0.5000])
    """

    kind: Kind = "peak"
    per: Granularity = "sample"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigurationError(f"Confidence: kind '{self.kind}' must be one of {', '.join(get_args(Kind))}")
        require_granularity(self.per, "Confidence")
        finer = "position" if self.kind == "peak" else "channel"
        if self.per == finer:
            other = "channel" if self.kind == "peak" else "position"
            raise ConfigurationError(
                f"Confidence: '{self.kind}' gives no weight per {finer}: choose per='sample' or '{other}'"
            )
        if not 0 < self.temperature < math.inf:
            raise ConfigurationError(
                f"Confidence: the temperature is {self.temperature}, it must be finite and above 0"
            )
        if self.kind == "peak" and self.temperature != 1:
            raise ConfigurationError("Confidence: 'peak' has no temperature, since heatmaps are no logits")

    def log_weight(self, target: Tensor, batch: Batch) -> Tensor:
        """Return the logarithm of the weights, [B], [B, K] or [B, 1, ...]; the batch is not read.

        Raises:
            BatchError: if the target is no heatmap (``peak``), or no logits of two channels or more.
        """
        if target.dtype != torch.float64:
            target = target.float()
        weight = self._peaks(target) if self.kind == "peak" else self._certainty(target)
        try:
            return average(weight, self.per).log()
        except BatchError as error:
            raise BatchError(f"{self!r} on a target of shape {tuple(target.shape)}: {error}") from error

    def _peaks(self, target: Tensor) -> Tensor:
        if target.ndim < 3:
            raise BatchError(f"{self!r}: the target has shape {tuple(target.shape)}, it must be maps [B, K, ...]")
        return target.flatten(2).amax(2).clamp(0, 1)

    def _certainty(self, target: Tensor) -> Tensor:
        if target.ndim < 2 or target.shape[1] < 2:
            raise BatchError(
                f"{self!r}: the target has shape {tuple(target.shape)}, it must be logits [B, C, ...] of two "
                f"channels or more, since a softmax over one is always 1"
            )
        distribution = (target / self.temperature).softmax(1)
        if self.kind == "probability":
            weight = distribution.amax(1, keepdim=True)
        else:
            entropy = torch.special.entr(distribution).sum(1, keepdim=True)
            weight = (1 - entropy / math.log(target.shape[1])).clamp(0, 1)
        return weight.squeeze(1) if target.ndim == 2 else weight
