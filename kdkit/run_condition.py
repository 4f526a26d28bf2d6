"""When a stage ends by the length of the whole run, however long the stages before it took."""

from dataclasses import dataclass

from kdkit.condition import Condition, Length, StageProgress, epoch_part, require_count


@dataclass(frozen=True)
class RunEpochs(Condition):
    """Met when the whole run has lasted so many epochs; its stage lasts as long as those before have left.

    So a run takes the same time whenever a stage before ends early. Behind ``Epochs(60) | Plateau("val/AP", 5)``,
    the stage ``until=RunEpochs(100)`` has 40 epochs or more, and the run 100. A schedule over the run then follows
    the epochs that have really passed.

    In a sum of curricula the run is the sum.
    """

    count: int

    def __post_init__(self) -> None:
        require_count(self.count, "RunEpochs")

    def met(self, progress: StageProgress) -> bool:
        """Return whether the run's epochs have ended."""
        return progress.run_epochs >= self.count

    def length(self, started: int = 0) -> Length:
        """Return the epochs that are left of the run."""
        return Length(max(self.count - started, 0), "epochs")

    @property
    def counts_run(self) -> bool:
        """True."""
        return True

    def fraction(self, progress: StageProgress, steps_per_epoch: int | None) -> float:
        """Return the stage's epochs done, with the part of the running one, over those it has."""
        own = self.count - (progress.run_epochs - progress.epochs)
        return min((progress.epochs + epoch_part(progress, steps_per_epoch)) / own, 1.0) if own > 0 else 1.0


@dataclass(frozen=True)
class RunSteps(Condition):
    """Met when the whole run has taken so many optimizer steps, also in the middle of an epoch; see RunEpochs."""

    count: int

    def __post_init__(self) -> None:
        require_count(self.count, "RunSteps")

    def met(self, progress: StageProgress) -> bool:
        """Return whether the run's steps are done."""
        return progress.run_steps >= self.count

    def length(self, started: int = 0) -> Length:
        """Return the steps that are left of the run."""
        return Length(max(self.count - started, 0), "steps")

    @property
    def counts_run(self) -> bool:
        """True."""
        return True

    def fraction(self, progress: StageProgress, steps_per_epoch: int | None) -> float:
        """Return the stage's steps done over those it has."""
        own = self.count - (progress.run_steps - progress.steps)
        return min(progress.steps / own, 1.0) if own > 0 else 1.0
