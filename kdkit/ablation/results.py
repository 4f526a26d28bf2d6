"""What an ablation found: means over seeds, and paired differences to the baseline."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdkit.ablation.interval import Interval, mean_interval
from kdkit.ablation.significance import p_value
from kdkit.ablation.trial import Trial
from kdkit.errors import ConfigurationError


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

    def paired(self, variant: str, other: str) -> dict[int, float]:
        """Return how much more of the metric one variant has than another, by common seed.

        A variant that is not in the study has no seeds.
        """
        mine, reference = self.trials.get(variant, {}), self.trials.get(other, {})
        return {
            seed: mine[seed].metrics[self.metric] - reference[seed].metrics[self.metric]
            for seed in mine
            if seed in reference
        }

    def difference(self, variant: str, other: str) -> Interval | None:
        """Return the mean over common seeds of what one variant has more of the metric than another.

        None, where they have no seed in common.
        """
        differences = list(self.paired(variant, other).values())
        return mean_interval(differences) if differences else None

    def p_value(self, variant: str, other: str) -> float:
        """Return how often a difference as far from 0 comes by chance, NaN where one seed or none is common.

        See :func:`kdkit.ablation.p_value`, and :func:`kdkit.ablation.holm` for looking at many.
        """
        differences = list(self.paired(variant, other).values())
        return p_value(differences) if differences else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return rows and trials in plain JSON types."""
        trials = {
            name: {str(seed): trial.to_json() for seed, trial in by_seed.items()}
            for name, by_seed in self.trials.items()
        }
        shared = {"metric": self.metric, "mode": self.mode, "baseline": self.baseline}
        return {**shared, "rows": [row.to_json() for row in self.rows], "trials": trials}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Results":
        """Return the results that :meth:`to_json` was taken of; a study's report holds them, too.

        Rows and differences are computed anew from the trials.

        Raises:
            ConfigurationError: if the content is not of results.
        """
        try:
            trials = {
                name: {int(seed): Trial.from_json(trial) for seed, trial in by_seed.items()}
                for name, by_seed in content["trials"].items()
            }
            return cls(trials, content["metric"], content["baseline"], content["mode"])
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigurationError(f"these are no results: {type(error).__name__}: {error}") from error

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

    def __str__(self) -> str:
        from kdkit.ablation.table import results_table

        return results_table(self)
