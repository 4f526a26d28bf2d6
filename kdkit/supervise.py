"""Learning from ground truth."""

from dataclasses import dataclass

from torch import Tensor

from kdkit.batch import read_field
from kdkit.objective import Objective
from kdkit.step_context import StepContext


@dataclass(frozen=True, repr=False)
class Supervise(Objective):
    """Learning from ground truth: the target is a field of the batch, named as the output by default."""

    @property
    def source(self) -> str:
        """The word ``supervise``."""
        return "supervise"

    @property
    def _target_reads(self) -> tuple[str, ...]:
        return (self.target,)

    def find_target(self, context: StepContext) -> Tensor:
        """Return the batch field."""
        return read_field(context.batch, self.target, f"objective '{self.name}'")
