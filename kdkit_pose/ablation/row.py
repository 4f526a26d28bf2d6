"""What a row of an ablation is, and what it is built from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kdkit import ConfigurationError, Curriculum, Schedule, Teacher
from kdkit_pose.models import Activation


@dataclass(frozen=True)
class Plan:
    """What every row is built from.

    Args:
        teachers: by role, those that are there.
        epochs: the length of a row.
        rate: the learning rate over the run.
        outputs: the student's heatmaps.
    """

    teachers: Mapping[str, Teacher]
    epochs: int
    rate: Schedule
    outputs: Sequence[str] = ("heatmap",)

    @property
    def shared(self) -> dict[str, Any]:
        """The arguments that every recipe takes."""
        return {"learning_rate": self.rate, "outputs": self.outputs}

    def halves(self, first: str, second: str, share: float = 0.5) -> dict[str, int]:
        """The arguments that part the epochs between two stages; each has one at least.

        Raises:
            ConfigurationError: if there are fewer than two epochs.
        """
        if self.epochs < 2:
            raise ConfigurationError(f"two stages need two epochs at least, there is {self.epochs}")
        earlier = min(max(round(self.epochs * share), 1), self.epochs - 1)
        return {f"{first}_until": earlier, f"{second}_until": self.epochs - earlier}


@dataclass(frozen=True)
class PoseRow:
    """A recipe with its settings.

    Args:
        summary: what it is, in a line.
        teachers: the roles of those it learns from.
        build: makes its curriculum.
        budget: how many times the epochs of the others it takes.
        targets: what it learns from: the teachers' heatmaps of every view, as ``live`` teachers give them, or
            ``canonical``, one heatmap of each person, warped to its views.
        activation: what its student's heatmaps go through.
    """

    summary: str
    teachers: tuple[str, ...]
    build: Callable[[Plan], Curriculum]
    budget: float = 1.0
    targets: Literal["live", "canonical"] = "live"
    activation: Activation = "none"

    def curriculum(self, plan: Plan) -> Curriculum:
        """Return its curriculum.

        Raises:
            ConfigurationError: if a teacher is missing.
        """
        if missing := [role for role in self.teachers if role not in plan.teachers]:
            raise ConfigurationError(f"there is no teacher for {missing}, only for {sorted(plan.teachers)}")
        return self.build(replace(plan, epochs=round(plan.epochs * self.budget)))
