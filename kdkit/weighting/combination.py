"""How several teachers' targets become one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.batch import Batch, read_field
from kdkit.errors import BatchError, ConfigurationError
from kdkit.naming import callable_name
from kdkit.reduction import broadcast_region
from kdkit.weighting.score import Score
from kdkit.weighting.shares import Choice, teacher_shares

TeacherWeight = float | str | Callable[[Batch], Tensor]
"""A number, or a batch field or a function of the batch that gives weights [B], [B, K], ..., not negative."""


class Combination(ABC):
    """A rule that makes one target of several teachers'."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The batch fields it reads."""
        return ()

    def runs(self, teacher: int) -> bool:
        """Return whether the teacher of this index is needed."""
        return True

    @abstractmethod
    def combine(
        self, outputs: Sequence[str], given: Sequence[Mapping[str, Tensor]], batch: Batch
    ) -> dict[str, Tensor]:
        """Return one target an output.

        Args:
            outputs: what is wanted.
            given: the targets of the teachers that run, in order.
            batch: the batch they were given for.
        """


@dataclass(frozen=True, repr=False)
class FixedCombination(Combination):
    """Numbers, one a teacher, divided by their sum; a teacher of the number 0 is not run."""

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.weights) or sum(self.weights) == 0:
            raise ConfigurationError(f"weights {self.weights} must be finite, not negative, and not all zero")
        total = sum(self.weights)
        object.__setattr__(self, "weights", tuple(weight / total for weight in self.weights))

    def runs(self, teacher: int) -> bool:
        """Return whether the teacher's number is above 0."""
        return self.weights[teacher] > 0

    def combine(
        self, outputs: Sequence[str], given: Sequence[Mapping[str, Tensor]], batch: Batch
    ) -> dict[str, Tensor]:
        """Return the weighted averages."""
        weights = [weight for weight in self.weights if weight > 0]
        return {
            output: torch.stack(
                [weight * targets[output] for weight, targets in zip(weights, given, strict=True)]
            ).sum(0)
            for output in outputs
        }

    def __repr__(self) -> str:
        return f"weights={self.weights}"


@dataclass(frozen=True, repr=False)
class RegionCombination(Combination):
    """Regions, one a teacher, among which numbers may stand; a teacher of the number 0 is not run."""

    weights: tuple[TeacherWeight, ...]
    choose: Choice

    def __post_init__(self) -> None:
        weights = [w if isinstance(w, str) or callable(w) else as_number(w) for w in self.weights]
        object.__setattr__(self, "weights", tuple(weights))
        for weight in weights:
            if isinstance(weight, float) and not (math.isfinite(weight) and weight >= 0):
                raise ConfigurationError(f"the weight {weight} must be finite and not negative")

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields among the regions."""
        return tuple(weight for weight in self.weights if isinstance(weight, str))

    def runs(self, teacher: int) -> bool:
        """Return whether the teacher has a region, or a number above 0."""
        return self.weights[teacher] != 0

    def combine(
        self, outputs: Sequence[str], given: Sequence[Mapping[str, Tensor]], batch: Batch
    ) -> dict[str, Tensor]:
        """Return targets that are, at each place, of the teachers whose region it is."""
        like = given[0][outputs[0]]
        regions = [
            self._read(weight, like, batch) for index, weight in enumerate(self.weights) if self.runs(index)
        ]
        logarithms = [region.float().clamp_min(0).log() for region in regions]
        return {
            output: _combine([targets[output] for targets in given], logarithms, self.choose) for output in outputs
        }

    def _read(self, weight: TeacherWeight, like: Tensor, batch: Batch) -> Tensor:
        if isinstance(weight, str):
            return read_field(batch, weight, "a teacher's region")
        return weight(batch) if callable(weight) else torch.full((1,), weight, device=like.device)

    def __repr__(self) -> str:
        names = [callable_name(weight) if callable(weight) else repr(weight) for weight in self.weights]
        return f"weights=[{', '.join(names)}]" + _name_choice(self.choose)


@dataclass(frozen=True, repr=False)
class ScoreCombination(Combination):
    """A score that compares the teachers' targets."""

    score: Score
    choose: Choice
    score_on: str | None

    @property
    def reads(self) -> tuple[str, ...]:
        """The score's fields."""
        return self.score.reads

    def combine(
        self, outputs: Sequence[str], given: Sequence[Mapping[str, Tensor]], batch: Batch
    ) -> dict[str, Tensor]:
        """Return targets that are most of, or only of, the teachers with the highest score."""
        if self.score_on is None:
            scores = {output: self._score(output, given, batch) for output in outputs}
        else:
            scores = dict.fromkeys(outputs, self._score(self.score_on, given, batch))
        return {
            output: _combine([targets[output] for targets in given], scores[output], self.choose)
            for output in outputs
        }

    def _score(self, output: str, given: Sequence[Mapping[str, Tensor]], batch: Batch) -> list[Tensor]:
        try:
            weights = [self.score.log_weight(targets[output], batch) for targets in given]
            # A teacher that gives NaN is not to be believed, and must not silence the others.
            return [weight.masked_fill(weight.isnan(), -torch.inf) for weight in weights]
        except BatchError as error:
            hint = "" if self.score_on else " (score_on=... lets one output decide for all)"
            raise BatchError(f"the score of '{output}': {error}{hint}") from error

    def __repr__(self) -> str:
        on = "" if self.score_on is None else f", score_on={self.score_on!r}"
        return f"weights={self.score!r}" + _name_choice(self.choose) + on


def as_number(weight: object) -> float:
    """Return a weight as a float, or raise a ConfigurationError."""
    try:
        return float(weight)  # type: ignore[arg-type]  # that is what is tried
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the weight {weight!r} must be a number, a batch field or a function of the batch (a Score stands "
            f"alone, for all teachers)"
        ) from error


def _combine(targets: Sequence[Tensor], log_weights: Sequence[Tensor], choose: Choice) -> Tensor:
    stacked = torch.stack(list(targets))
    # The logarithms of class indices' weights are no class indices, and half precision blurs them.
    like = targets[0] if stacked.dtype == torch.float64 else targets[0].float()
    laid = [broadcast_region(weight, like) for weight in log_weights]
    common = [max(sizes) for sizes in zip(*(weight.shape for weight in laid), strict=True)]
    shares = teacher_shares(torch.stack([weight.expand(common) for weight in laid]), choose)
    # What has no share has no say, not even if it is NaN.
    combined = torch.where(shares > 0, shares * stacked, 0).sum(0)
    return combined.to(stacked.dtype) if choose == "best" or stacked.is_floating_point() else combined


def _name_choice(choose: Choice) -> str:
    return "" if choose == "share" else f", choose={choose!r}"
