"""The easiest samples of a batch first."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.schedule import Schedule, as_schedule
from kdkit.step_context import StepContext
from kdkit.weighting.score import Score
from kdkit.weighting.weighting import Weighting


@dataclass(frozen=True)
class EasyFirst(Weighting):
    """Weight 1 for the easiest samples of the batch and 0 for the others.

    Easy are those of the highest score: ceil(fraction * B) of the B samples that are in the batch together, at
    least one; of equals, the first in the batch. A score finer than a sample is averaged over the sample. With
    a growing fraction, such as ``Linear(0.3, 1.0)``, hard samples join later. With the reduction ``mean`` the
    samples left out count as losses of 0; ``weighted_mean`` averages over the chosen ones.

    Args:
        score: says how easy a sample is.
        fraction: in (0, 1], a number or a :class:`kdkit.Schedule`.

    Raises:
        ConfigurationError: if the score is no Score, or a fraction is outside of (0, 1].

    Source: curriculum learning (Bengio et al., ICML 2009) and self-paced learning (Kumar, Packer and Koller,
    NIPS 2010), which takes the samples below a loss that rises; a fraction of the batch is ours.

    Example:
        >>> import torch
        >>> from kdkit.step_context import StepContext
        >>> from kdkit.weighting import Confidence
        >>> logits = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 1.0]])
        >>> context = StepContext(batch={}, targets={}, predictions={}, value=lambda schedule: schedule(0.0))
        >>> EasyFirst(Confidence("probability"), fraction=0.5).weigh(logits, context)
        tensor([0., 1., 1.])
    """

    score: Score
    fraction: float | Schedule

    def __post_init__(self) -> None:
        if not isinstance(self.score, Score):
            raise ConfigurationError(
                f"EasyFirst: {self.score!r} is not a Score: give Confidence(...) or Agreement(...)"
            )
        if not all(0 < value <= 1 for value in self._schedule.values()):
            raise ConfigurationError(f"EasyFirst: the fraction {self.fraction!r} must stay in (0, 1]")

    @property
    def _schedule(self) -> Schedule:
        return as_schedule(self.fraction, "EasyFirst: the fraction")

    @property
    def reads(self) -> tuple[str, ...]:
        """The score's fields."""
        return self.score.reads

    def schedules(self) -> tuple[Schedule, ...]:
        """Return the fraction as a schedule, and the score's."""
        return (self._schedule, *self.score.schedules())

    def weigh(self, target: Tensor, context: StepContext) -> Tensor:
        """Return zeros and ones, [B].

        Raises:
            BatchError: if target and batch are not what the score needs.
        """
        with torch.no_grad():
            scores = self.score.log_weight(target, context.batch)
            if scores.ndim == 0 or scores.shape[0] != target.shape[0]:
                raise BatchError(
                    f"{self!r}: the score gave the shape {tuple(scores.shape)} for a target of shape "
                    f"{tuple(target.shape)}: it must give a weight a sample or finer"
                )
            samples = scores.shape[0]
            # In the order of the mean weights, and distinct where those would vanish.
            easiness = scores.reshape(samples, -1).logsumexp(1)
            easiness = easiness.masked_fill(easiness.isnan(), -torch.inf)
            order = easiness.argsort(descending=True, stable=True)
            ranks = torch.empty_like(order).scatter_(0, order, torch.arange(samples, device=order.device))
            # 0.07 * 100 is 7.000000000000001 in floating point, but 7 samples are meant.
            count = max(1, math.ceil(context.value(self._schedule) * samples - 1e-9))
            return (ranks < count).to(scores.dtype)
