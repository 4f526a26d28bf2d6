"""How likely a difference is by chance, alone and among others."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from kdkit.errors import ConfigurationError


def p_value(differences: Sequence[float]) -> float:
    """Return how often paired differences as far from 0 come by chance: Student's t test, two-sided.

    It is below 0.05 where the 95 % interval of :func:`mean_interval` leaves out 0. NaN for a single difference.

    Args:
        differences: one a seed.

    Raises:
        ConfigurationError: if there are none, or one is not finite.

    >>> round(p_value([0.02, 0.03, 0.01]), 3)
    0.074
    """
    if not differences or not all(map(math.isfinite, differences)):
        raise ConfigurationError(f"a p value needs finite differences, found {list(differences)}")
    if len(differences) < 2:
        return math.nan
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / (spread / math.sqrt(len(differences))), len(differences) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for there being so many, by Holm's method.

    Of those below 0.05 then, even one is by chance in only one of twenty such families. The smallest p value is
    multiplied by their number, the next by one less, and so on, and none is left smaller than one before it.
    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.

    Args:
        p_values: in [0, 1].

    Returns:
        One for each, in the order given.

    Raises:
        ConfigurationError: if one is out of range.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if wrong := [value for value in p_values if not 0 <= value <= 1]:
        raise ConfigurationError(f"p values are in [0, 1], found {wrong}")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
