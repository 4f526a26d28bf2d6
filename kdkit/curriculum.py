"""An ordered, immutable tuple of stages, and a cursor that says where in it a run is."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from kdkit.condition import Condition, Length, StageProgress, epoch_part
from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.moment import Moment
from kdkit.plan import plan
from kdkit.schedule import Schedule
from kdkit.stage import Stage

_COUNTS = ("steps", "epochs", "epoch_steps", "run_steps", "run_epochs")  # of a StageProgress


class Curriculum:
    """Stages in order, and a cursor. The stages never change; the cursor moves by steps and epochs.

    ``a + b`` is a new curriculum of both, at its start.

    Args:
        *stages: at least one, with distinct names.

    Attributes:
        stages: the stages in order.
        index: the active stage's position; the number of stages when the curriculum is finished.
        progress: how far the active stage has come, and the run.
        steps_per_epoch: how many steps an epoch has, to count parts of one; learned at the first epoch's end
            where nobody says it.

    Raises:
        ConfigurationError: if there is no stage, a name comes twice, a schedule over the run has no length, or
            nothing is left for a stage that ends by the run's length.
    """

    def __init__(self, *stages: Stage) -> None:
        self.stages = stages
        if not stages or not all(isinstance(stage, Stage) for stage in stages):
            raise ConfigurationError("a curriculum needs at least one Stage: Curriculum(Stage(...), Stage(...))")
        names = [stage.name for stage in stages]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"the curriculum has two stages named '{name}': rename one")
        self._check_run_schedules()
        self._check_time_left()
        self.reset()

    def reset(self) -> None:
        """Put the cursor at the start."""
        self.index = 0
        self.progress = StageProgress()
        self.steps_per_epoch: int | None = None

    def shortened(self, until: Condition) -> "Curriculum":
        """Return the same stages in a new curriculum, each of which lasts until another condition is met.

        Objectives, teachers, learning rates, warm-ups and what is frozen stay.
        """
        return Curriculum(*(replace(stage, until=until) for stage in self.stages))

    @property
    def steps(self) -> int:
        """Optimizer steps since the run began."""
        return self.progress.run_steps

    @property
    def epochs(self) -> int:
        """Epochs ended since the run began."""
        return self.progress.run_epochs

    @property
    def finished(self) -> bool:
        """Whether the last stage is over."""
        return self.index >= len(self.stages)

    @property
    def stage(self) -> Stage:
        """The active stage; the last one when the curriculum is finished."""
        return self.stages[min(self.index, len(self.stages) - 1)]

    def advance(self) -> None:
        """Count an optimizer step; the stage may change."""
        self._require_unfinished()
        done = self.progress
        self.progress = replace(
            done, steps=done.steps + 1, epoch_steps=done.epoch_steps + 1, run_steps=done.run_steps + 1
        )
        self._move_on()

    def end_epoch(self, metrics: Mapping[str, float] | None = None) -> None:
        """Count an epoch, with its metrics where it was evaluated; the stage may change.

        A stage that the epoch's last step began has taken no step in it: it still has all of its own epochs, and
        the metrics are none of its own.

        Raises:
            ConfigurationError: if there are metrics, but one that this or a later stage waits for is missing.
        """
        self._require_unfinished()
        awaited = self.stage.until.metrics()
        for stage in self.stages[self.index :] if metrics else ():
            if missing := stage.until.metrics() - (metrics or {}).keys():
                raise ConfigurationError(
                    f"stage '{stage.name}' waits for {sorted(missing)}, but the evaluation gave "
                    f"{sorted(metrics or {})}: name a metric that it gives"
                )
        if self.steps_per_epoch is None and self.progress.epochs == self.index == 0:
            self.steps_per_epoch = self.progress.epoch_steps or None
        took_part = self.progress.steps > 0 or self.progress.run_steps == 0  # or nobody counts steps
        seen = (metrics or {}) if took_part else {}
        kept = {name: float(value) for name, value in seen.items() if name in awaited}
        self.progress = replace(
            self.progress,
            epochs=self.progress.epochs + took_part,
            run_epochs=self.progress.run_epochs + 1,
            epoch_steps=0,
            history=(*self.progress.history, kept) if kept else self.progress.history,
        )
        self._move_on()

    @property
    def moment(self) -> Moment:
        """Where the cursor stands, as schedules see it."""
        return Moment(
            self._stage_fraction(), self._run_fraction(), steps=self.progress.steps, epochs=self.progress.epochs
        )

    def value(self, schedule: Schedule) -> float:
        """Return a schedule's value now.

        Raises:
            ConfigurationError: if it changes over a stage or a run whose length is not known.
        """
        return schedule.values()[0] if schedule.is_constant else schedule.at(self.moment)

    @cached_property
    def lengths(self) -> tuple[Length, ...] | None:
        """Every stage's length where those before last as long as they can; None unless all are in one unit."""
        known: list[Length] = []
        for stage in self.stages:
            length = stage.until.length(sum(one.amount for one in known))
            if length is None or (known and length.unit != known[0].unit):
                return None
            known.append(length)
        return tuple(known)

    def _stage_fraction(self) -> float | None:
        return 1.0 if self.finished else self.stage.until.fraction(self.progress, self.steps_per_epoch)

    def _run_fraction(self) -> float | None:
        """Return the run's progress.

        A stage that ended early counts as whole, unless a later one makes up for it: then counts what has passed.
        """
        if self.finished:
            return 1.0
        part = self._stage_fraction()
        if self.lengths is None or part is None:
            return None
        amounts = [length.amount for length in self.lengths]
        if any(stage.until.counts_run for stage in self.stages[self.index :]):
            in_epochs = self.lengths[0].unit == "epochs"
            passed = self.epochs + epoch_part(self.progress, self.steps_per_epoch) if in_epochs else self.steps
            return min(passed / sum(amounts), 1.0)
        return (sum(amounts[: self.index]) + amounts[self.index] * part) / sum(amounts)

    def _check_run_schedules(self) -> None:
        for stage in self.stages if self.lengths is None else ():
            for what, schedule in stage.schedules():
                if "run" in schedule.spans:
                    raise ConfigurationError(
                        f"stage '{stage.name}': {what} changes over the run, {schedule!r}, so every stage "
                        f"needs a length in the same unit, Epochs or Steps (found: "
                        f"{[one.until for one in self.stages]})"
                    )

    def _check_time_left(self) -> None:
        before = 0
        for stage, length in zip(self.stages, self.lengths or (), strict=False):
            if length.amount < 1:
                raise ConfigurationError(
                    f"stage '{stage.name}' ends by the run's length, {stage.until!r}, and nothing is left for it "
                    f"if those before take their {before} {length.unit}: lengthen the run, or shorten them"
                )
            before += length.amount

    def _move_on(self) -> None:
        over = self.stage.until.met(self.progress)
        while over:
            self.index += 1
            self.progress = StageProgress(run_steps=self.steps, run_epochs=self.epochs)
            # Nothing may be left for a stage that ends by the run's length; any other has all of its own ahead.
            over = not self.finished and self.stage.until.counts_run and self.stage.until.met(self.progress)

    def _require_unfinished(self) -> None:
        if self.finished:
            raise ConfigurationError(
                "the curriculum is finished: stop the loop on curriculum.finished, or reset() it"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the cursor as plain numbers, strings and lists."""
        progress = asdict(self.progress)
        return {
            "stages": [stage.name for stage in self.stages],
            "index": self.index,
            "progress": {
                **{name: value for name, value in progress.items() if not name.startswith("run_")},
                "history": [dict(item) for item in self.progress.history],
            },
            "steps": self.steps,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the cursor where :meth:`state_dict` was taken.

        Raises:
            CheckpointError: if the state is of a curriculum with other stages, or damaged; nothing is changed.
        """
        names = [stage.name for stage in self.stages]
        try:
            if list(state["stages"]) != names:
                raise CheckpointError(
                    f"the saved run has the stages {list(state['stages'])}, this curriculum has {names}: "
                    f"resume with the curriculum it was started with"
                )
            progress = {**state["progress"], "history": tuple(state["progress"]["history"])}
            reached = StageProgress(**progress, run_steps=state["steps"], run_epochs=state["epochs"])
            index, steps_per_epoch = state["index"], state["steps_per_epoch"]
        except (KeyError, TypeError, RuntimeError) as error:  # of tensors in the place of numbers, too
            raise CheckpointError(f"the saved run does not say where its curriculum stood: {error}") from error
        counts = [index, *(getattr(reached, name) for name in _COUNTS)]
        if steps_per_epoch is not None:
            counts.append(steps_per_epoch)
        whole = all(type(count) is int and count >= 0 for count in counts)
        if not whole or index > len(names) or not all(isinstance(one, Mapping) for one in reached.history):
            raise CheckpointError(
                f"the saved run says of its curriculum what cannot be: stage {str(index)[:60]} of {len(names)}, "
                f"{str(reached)[:200]}, {str(steps_per_epoch)[:60]} steps an epoch"
            )
        self.progress, self.index, self.steps_per_epoch = reached, index, steps_per_epoch

    def __add__(self, other: "Curriculum") -> "Curriculum":
        return Curriculum(*self.stages, *other.stages)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    def __len__(self) -> int:
        return len(self.stages)

    def __str__(self) -> str:
        return plan(self)

    def __repr__(self) -> str:
        lines = []
        for position, stage in enumerate(self.stages):
            mark = "->" if position == self.index else "  "
            lines.append(f"{mark} {position + 1}. {stage.name}, until {stage.until!r}")
            lines += [f"        {objective!r}" for objective in stage.objectives]
        return "Curriculum(\n" + "\n".join(lines) + "\n)"
