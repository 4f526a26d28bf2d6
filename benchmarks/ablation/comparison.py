"""A difference between two rows, and what may be said of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from kdkit.ablation import Interval, Results, holm
from kdkit.ablation.table import interval_words
from kdkit_pose.ablation import pairs_of

Verdict = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Comparison:
    """The paired difference of one row minus another.

    Attributes:
        variant, other: the rows.
        difference: over the seeds that both have.
        adjusted: the p value, adjusted by Holm for all differences of the study; NaN without an interval.
        more_is_better: whether more of the metric is.
    """

    variant: str
    other: str
    difference: Interval
    adjusted: float = math.nan
    more_is_better: bool = True

    @property
    def verdict(self) -> Verdict:
        """What the interval alone says."""
        if not self.difference.leaves_out_zero:
            return "open"
        return "better" if (self.difference.mean > 0) == self.more_is_better else "worse"

    @property
    def holds_among_all(self) -> bool:
        """Whether it is clear also as one of so many."""
        return self.verdict != "open" and self.adjusted < 0.05

    @property
    def mark(self) -> str:
        """One star where the interval leaves out 0, two where it also holds among all."""
        return "**" if self.holds_among_all else "" if self.verdict == "open" else "*"

    @property
    def turned(self) -> "Comparison":
        """The same the other way round: the other row minus this one."""
        found = self.difference
        difference = Interval(-found.mean, -found.high, -found.low, found.count)
        return replace(self, variant=self.other, other=self.variant, difference=difference)

    @property
    def name(self) -> str:
        """Its two rows."""
        return f"{self.variant} minus {self.other}"

    @property
    def value(self) -> str:
        """Mean and interval."""
        return interval_words(self.difference, sign=True)

    @property
    def seeds(self) -> str:
        """How many there are in words."""
        return f"{self.difference.count} seed{'s' if self.difference.count != 1 else ''}"


def comparisons(results: Results) -> list[Comparison]:
    """Return the differences of a study, each once: of each row to the baseline, then of the pairs that tell
    something."""
    names = [row.name for row in results.rows]
    pairs = [(name, results.baseline) for name in names if name != results.baseline]
    pairs += [pair for pair in pairs_of(names) if pair[::-1] not in pairs]
    found = {
        pair: difference for pair in dict.fromkeys(pairs) if (difference := results.difference(*pair)) is not None
    }
    known = [pair for pair, difference in found.items() if difference.is_known]
    adjusted = dict(zip(known, holm([results.p_value(*pair) for pair in known]), strict=True))
    more = results.mode == "max"
    return [
        Comparison(*pair, difference, adjusted.get(pair, math.nan), more) for pair, difference in found.items()
    ]


def known(among: Iterable[Comparison]) -> list[Comparison]:
    """Return those that have an interval."""
    return [one for one in among if one.difference.is_known]
