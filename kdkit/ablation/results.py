"""What an ablation found: means over seeds, and paired differences to the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdkit.ablation.interval import Interval, mean_interval
from kdkit.ablation.trial import Trial


@dataclass(frozen=True)
class Row:
    """A variant over its seeds.

    Attributes:
        name: the variant.
        metric: the mean over seeds, and its interval.
        difference: the mean over the seeds that the baseline has too of this variant's metric minus the
            baseline's, and its interval; None for the baseline itself, and where there is no such seed.
        steps: optimizer steps of one training.
        samples: samples the student learned from in one training.
        teacher_passes: samples that networks among the teachers were run on in one training, all together.
        seconds: the median over seeds.
    """

    name: str
    metric: Interval
    difference: Interval | None
    steps: int
    samples: int
    teacher_passes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        difference = None if self.difference is None else self.difference.to_json()
        return {**self.__dict__, "metric": self.metric.to_json(), "difference": difference}


@dataclass(frozen=True)
class Results:
    """The trials of a study, and what they tell.

    Attributes:
        trials: by variant, by seed: those that are finished.
        metric: the metric that decides.
        baseline: the variant that the others are compared with.
        mode: ``max`` where more of the metric is better, else ``min``.
    """

    trials: Mapping[str, Mapping[int, Trial]]
    metric: str
    baseline: str
    mode: str = "max"

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row for every variant that has a finished trial, in the study's order."""
        return tuple(self._row(name) for name, trials in self.trials.items() if trials)

    def difference(self, variant: str, other: str) -> Interval | None:
        """Return how much more of the metric one variant has than another: the paired mean over common seeds.

        None, where they have no seed in common.
        """
        common = [seed for seed in self.trials[variant] if seed in self.trials[other]]
        if not common:
            return None
        return mean_interval([self._value(variant, seed) - self._value(other, seed) for seed in common])

    def to_json(self) -> dict[str, Any]:
        """Return rows and trials in plain JSON types."""
        trials = {
            name: {str(seed): trial.to_json() for seed, trial in by_seed.items()}
            for name, by_seed in self.trials.items()
        }
        shared = {"metric": self.metric, "mode": self.mode, "baseline": self.baseline}
        return {**shared, "rows": [row.to_json() for row in self.rows], "trials": trials}

    def _row(self, name: str) -> Row:
        trials = list(self.trials[name].values())
        first = trials[0]
        return Row(
            name=name,
            metric=mean_interval([trial.metrics[self.metric] for trial in trials]),
            difference=None if name == self.baseline else self.difference(name, self.baseline),
            steps=first.steps,
            samples=first.samples,
            teacher_passes=sum(first.teacher_passes.values()),
            seconds=float(np.median([trial.seconds for trial in trials])),
        )

    def _value(self, variant: str, seed: int) -> float:
        return self.trials[variant][seed].metrics[self.metric]

    def __str__(self) -> str:
        from kdkit.ablation.table import results_table

        return results_table(self)
