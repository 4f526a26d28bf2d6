"""A mean over seeds, and how far it may be chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from kdkit.errors import ConfigurationError


@dataclass(frozen=True)
class Interval:
    """A mean and the interval of it.

    Attributes:
        mean: of the values.
        low, high: the interval's ends; NaN where a single value tells nothing of its spread.
        count: how many values there were.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def is_known(self) -> bool:
        """Whether there were values enough for an interval."""
        return not math.isnan(self.low)

    @property
    def leaves_out_zero(self) -> bool:
        """Whether the whole interval is on one side of 0."""
        return self.is_known and not self.low <= 0 <= self.high

    def to_json(self) -> dict[str, Any]:
        """Return it in plain JSON types, None for what is not known."""
        low, high = (self.low, self.high) if self.is_known else (None, None)
        return {"mean": self.mean, "low": low, "high": high, "count": self.count}


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of values and Student's interval of it, which takes them for normally distributed.

    With three seeds the interval is 2.5 standard deviations to each side, with five 1.2: few seeds are dear.

    Args:
        values: one a seed.
        confidence: how often such an interval holds the true mean, in (0, 1).

    Raises:
        ConfigurationError: if there are no values, one is not finite, or the confidence is out of range.

    >>> found = mean_interval([0.30, 0.32, 0.31])
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (0.31, 0.285, 0.335)
    """
    if not values or not all(map(math.isfinite, values)):
        raise ConfigurationError(f"an interval needs finite values, found {list(values)}")
    if not 0 < confidence < 1:
        raise ConfigurationError(f"confidence is {confidence}, it must be in (0, 1)")
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Interval(mean, math.nan, math.nan, count)
    quantile = float(stats.t.ppf(0.5 + confidence / 2, count - 1))
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)
