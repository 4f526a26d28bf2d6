"""The weights over a run, as numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kdkit.alternate import Alternate
from kdkit.condition import Length
from kdkit.curriculum import Curriculum
from kdkit.errors import ConfigurationError
from kdkit.moment import Moment
from kdkit.plan import condition_words
from kdkit.schedule import Product, Schedule

Unit = Literal["epochs", "steps"]


@dataclass(frozen=True)
class WeightLine:
    """An objective's weight over one stage.

    Attributes:
        source: where the target comes from: ``supervise``, ``distill/senior``.
        words: the schedule in words.
        alternates: whether the weight goes round a list.
        positions: on the run's axis, never falling; where an alternating value jumps there are two.
        weights: the weight at each position; its mean, where it alternates too often to be told apart.
        lowest: the least weight around each position.
        highest: the greatest weight around each position.
    """

    source: str
    words: str
    alternates: bool
    positions: tuple[float, ...]
    weights: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


@dataclass(frozen=True)
class StageSpan:
    """A stage on the run's axis.

    Attributes:
        name: the stage's name.
        start: where it begins.
        end: where it ends, at the latest.
        nominal: whether its length on this axis is not known, so that its width says nothing.
        until: what ends it, in words.
        may_end_early: whether metrics may end it.
        lines: the weights by objective.
    """

    name: str
    start: float
    end: float
    nominal: bool
    until: str
    may_end_early: bool
    lines: Mapping[str, WeightLine]


@dataclass(frozen=True)
class Timeline:
    """The weights over a run.

    Attributes:
        unit: of every position.
        stages: the stages in order.
        now: where the curriculum stands.
    """

    unit: Unit
    stages: tuple[StageSpan, ...]
    now: float

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives' names over all stages, each once, in order."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.lines))


def weights_over_run(
    curriculum: Curriculum, points_per_stage: int = 101, steps_per_epoch: int | None = None
) -> Timeline:
    """Return every objective's weight over the run; the curriculum's cursor stays where it is.

    Objectives that are always off are left out. A stage that only metrics end, or that is counted in steps on an
    axis of epochs while ``steps_per_epoch`` is not known, is given the mean length of the others.

    Args:
        curriculum: the curriculum.
        points_per_stage: at least 2; a weight that alternates more often is given by its bounds.
        steps_per_epoch: brings stages in steps and stages in epochs on one axis, and says where steps alternate;
            by default what the curriculum knows.

    Raises:
        ConfigurationError: if a number is out of range.
    """
    if points_per_stage < 2:
        raise ConfigurationError(f"points_per_stage is {points_per_stage}, it must be at least 2")
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ConfigurationError(f"steps_per_epoch is {steps_per_epoch}, it must be at least 1")
    per_epoch = steps_per_epoch or curriculum.steps_per_epoch
    units = {length.unit for stage in curriculum if (length := stage.until.length())}
    unit: Unit = "steps" if units == {"steps"} else "epochs"
    amounts = _all_amounts(curriculum, per_epoch)
    known = [width for amount in amounts if (width := amount.of_unit(unit)) is not None]
    start, total, spans = 0.0, sum(known), []
    for stage, amount in zip(curriculum, amounts, strict=True):
        width = amount.of_unit(unit)
        end = start + (width if width is not None else total / len(known) if known else 1.0)
        # Where a schedule is over the run, every width is known.
        axis = _Axis(start, end, start / total if total else 0.0, end / total if total else 0.0, amount)
        lines = {
            objective.name: _line(objective.source, objective.schedule, axis, points_per_stage)
            for objective in stage.objectives
            if not objective.is_off
        }
        until, early = condition_words(stage.until), bool(stage.until.metrics())
        spans.append(StageSpan(stage.name, start, end, width is None, until, early, lines))
        start = end
    now = start
    if not curriculum.finished:
        active = spans[curriculum.index]
        now = active.start + (curriculum.moment.stage or 0.0) * (active.end - active.start)
    return Timeline(unit, tuple(spans), now)


@dataclass(frozen=True)
class _Amounts:
    """How long a stage is, as far as it is known."""

    epochs: float | None
    steps: float | None

    @staticmethod
    def of(length: Length | None, per_epoch: int | None) -> "_Amounts":
        if length is None:
            return _Amounts(None, None)
        if length.unit == "epochs":
            return _Amounts(length.amount, length.amount * per_epoch if per_epoch else None)
        return _Amounts(length.amount / per_epoch if per_epoch else None, length.amount)

    def of_unit(self, unit: Unit) -> float | None:
        return self.epochs if unit == "epochs" else self.steps

    def __add__(self, other: "_Amounts") -> "_Amounts":
        epochs = None if self.epochs is None or other.epochs is None else self.epochs + other.epochs
        steps = None if self.steps is None or other.steps is None else self.steps + other.steps
        return _Amounts(epochs, steps)


def _all_amounts(curriculum: Curriculum, per_epoch: int | None) -> list[_Amounts]:
    """Return every stage's amounts where those before it last as long as they can."""
    amounts: list[_Amounts] = []
    passed = _Amounts(0, 0)
    for stage in curriculum:
        length = stage.until.length()
        if length is not None and stage.until.counts_run:
            started = passed.of_unit(length.unit)
            length = None if started is None else stage.until.length(int(started))
        amounts.append(_Amounts.of(length, per_epoch))
        passed = passed + amounts[-1]
    return amounts


@dataclass(frozen=True)
class _Axis:
    """Where a stage lies: its positions, its parts of the run, its amounts."""

    start: float
    end: float
    run_start: float
    run_end: float
    amounts: _Amounts

    def position(self, part: float) -> float:
        return self.end if part == 1.0 else self.start + part * (self.end - self.start)

    def moment(self, part: float, count: int = 0) -> Moment:
        run = self.run_start + part * (self.run_end - self.run_start)
        return Moment(part, min(run, 1.0), steps=count, epochs=count)


def _line(source: str, schedule: Schedule, axis: _Axis, points: int) -> WeightLine:
    alternate = _alternation(schedule)
    rows = _steady(schedule, axis, points) if alternate is None else _turns(schedule, alternate, axis, points)
    positions, weights, lowest, highest = zip(*rows, strict=True)
    return WeightLine(source, str(schedule), alternate is not None, positions, weights, lowest, highest)


def _alternation(schedule: Schedule) -> Alternate | None:
    """Return what alternates in a schedule that is not constant."""
    if schedule.is_constant:
        return None
    if isinstance(schedule, Product):
        return _alternation(schedule.left) or _alternation(schedule.right)
    return schedule if isinstance(schedule, Alternate) else None


Row = tuple[float, float, float, float]


def _steady(schedule: Schedule, axis: _Axis, points: int) -> Iterator[Row]:
    for part in _parts(0.0, 1.0, points):
        value = schedule.at(axis.moment(part))
        yield axis.position(part), value, value, value


def _turns(schedule: Schedule, alternate: Alternate, axis: _Axis, points: int) -> Iterator[Row]:
    amount = axis.amounts.of_unit(alternate.unit)
    if amount is not None and amount / alternate.every < points:
        for count in range(0, int(-(-amount // 1)), alternate.every):
            first, last = count / amount, min((count + alternate.every) / amount, 1.0)
            for part in _parts(first, last, max(2, int(points * (last - first)))):
                value = schedule.at(axis.moment(part, count))
                yield axis.position(part), value, value, value
        return
    for part in _parts(0.0, 1.0, points):
        turns = (schedule.at(axis.moment(part, turn * alternate.every)) for turn in range(len(alternate.turns)))
        values = tuple(turns)
        yield axis.position(part), sum(values) / len(values), min(values), max(values)


def _parts(first: float, last: float, points: int) -> list[float]:
    # The last is exact, so that rounding never carries it past the next turn's first.
    return [*(first + (last - first) * place / (points - 1) for place in range(points - 1)), last]
