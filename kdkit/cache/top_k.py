"""The likeliest classes."""

from dataclasses import dataclass
from math import log, prod

import torch
from torch import Tensor

from kdkit.cache.codec import RecordCodec, Shape, index_dtype, require_whole
from kdkit.cache.packing import Parts, half_error, to_bytes
from kdkit.errors import ConfigurationError

_LEAST = -100.0  # a log-probability that no loss can tell from none


@dataclass(frozen=True)
class TopK(RecordCodec):
    """Logits of classes [C], or of a class map [C, h, w]: the largest log-probabilities at each place.

    What is left of the probability is spread evenly over the other classes. Targets come back as
    log-probabilities, which are logits, too: a softmax over the classes makes them probabilities. The logits'
    common constant is not kept, so losses that compare logits themselves want :class:`Dense`.

    Args:
        k: how many classes are kept at each place: 2 bytes each for the log-probability and for the class, and 2
            bytes for what is left.

    Source: Shen and Xing, A Fast Knowledge Distillation Framework for Visual Recognition (arXiv 2112.01528),
    marginal smoothing; Yun et al., Re-labeling ImageNet (arXiv 2101.05022), for maps.

    Example:
        >>> import torch
        >>> codec, logits = TopK(2), torch.tensor([[3.0, 0.0, 1.0, 0.0]])
        >>> codec.decode(codec.encode(logits), (4,)).softmax(1)
        tensor([[0.8098, 0.0403, 0.1096, 0.0403]])
    """

    k: int = 10

    def __post_init__(self) -> None:
        require_whole("TopK", "k", self.k)

    def record_bytes(self, shape: Shape) -> int:
        """Return the bytes of a target."""
        if not shape or self.k > shape[0]:
            raise ConfigurationError(
                f"TopK(k={self.k}) is for targets [C, ...] of {self.k} classes or more, the shape is "
                f"{list(shape)}: take a smaller k, or Dense"
            )
        return prod(shape[1:]) * (2 + self.k * (2 + index_dtype(shape[0]).itemsize))

    def encode(self, target: Tensor) -> Tensor:
        """Return logits [B, C, ...] as uint8 [B, record_bytes]."""
        likelihoods, classes, rest = self._take(target)
        halves = torch.cat([likelihoods, rest], dim=1).half()
        return torch.cat([to_bytes(halves), to_bytes(classes.to(index_dtype(target.shape[1])))], dim=1)

    def decode(self, records: Tensor, shape: Shape) -> Tensor:
        """Return the log-probabilities, float32 [B, C, ...]."""
        parts, count = Parts(records), shape[0]
        halves = parts.take(torch.float16, self.k + 1, *shape[1:]).float()
        classes = parts.take(index_dtype(count), self.k, *shape[1:]).long()
        likelihoods, rest = halves[:, :-1], halves[:, -1:]
        even = rest - log(max(count - self.k, 1))
        # A damaged record's class must not lead out of the classes.
        return even.repeat_interleave(count, 1).scatter_(1, classes.clamp(0, count - 1), likelihoods)

    def inexact(self, target: Tensor) -> Tensor:
        """Return at which samples a kept log-probability, or an other's, lost more than rounding: bool [B, 1]."""
        whole = target.float().log_softmax(1)
        decoded = self.decode(self.encode(target), tuple(target.shape[1:]))
        # Twice: the log-probability of the rest, and that of one of them.
        kept = (decoded - whole).abs() <= 2 * half_error(whole) + 1e-4
        return ~kept.flatten(1).all(1, keepdim=True)

    def _take(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The largest log-probabilities [B, k, ...], their classes, and the log of the others' sum [B, 1, ...]."""
        whole = logits.float().log_softmax(1)
        likelihoods, classes = whole.topk(self.k, dim=1)
        rest = whole.scatter(1, classes, -torch.inf).logsumexp(1, keepdim=True)
        return likelihoods.clamp(min=_LEAST), classes, rest.clamp(min=_LEAST)
