"""The abstract weighting."""

from abc import ABC, abstractmethod

from torch import Tensor

from kdkit.schedule import Schedule
from kdkit.step_context import StepContext


class Weighting(ABC):
    """How much each sample, channel or place of a target counts, found anew in every step.

    It is given as an objective's ``region``, and sees the target before the objective's transform. It holds no
    parameters and changes nothing; its repr is the same in every process, since a run is described by it.
    Weights a position have the raw target's size: a teacher of another size than the student's is wrapped as a
    :class:`kdkit.TransformedTeacher`, rather than resized by the objective.
    """

    @property
    def reads(self) -> tuple[str, ...]:
        """The batch fields it reads."""
        return ()

    def schedules(self) -> tuple[Schedule, ...]:
        """Return the schedules it follows, so that a stage can check that it knows its length."""
        return ()

    @abstractmethod
    def weigh(self, target: Tensor, context: StepContext) -> Tensor:
        """Return weights [B], [B, K], [B, 1, h, w] ... without gradient, laid on the loss map from the left.

        Args:
            target: the raw target, batch dimension first.
            context: the step's batch, targets, predictions and schedules.

        Raises:
            BatchError: if target and batch are not what the weighting needs.
        """
