"""The abstract score: a weighting by which targets can be compared."""

from abc import abstractmethod

import torch
from torch import Tensor

from kdkit.batch import Batch
from kdkit.step_context import StepContext
from kdkit.weighting.weighting import Weighting


class Score(Weighting):
    """Weights in [0, 1] that need only a target and the batch.

    So several teachers' targets can be scored alike, and an :class:`kdkit.EnsembleTeacher` compare them; it
    does so by the logarithm, where small weights stay distinct.
    """

    @abstractmethod
    def log_weight(self, target: Tensor, batch: Batch) -> Tensor:
        """Return the natural logarithm of the weights, at most 0; -inf is a weight of 0, never NaN.

        Args:
            target: a teacher's raw target, batch dimension first.
            batch: the batch it was given for.

        Raises:
            BatchError: if target and batch are not what the score needs.
        """

    def weigh(self, target: Tensor, context: StepContext) -> Tensor:
        """Return exp of :meth:`log_weight`."""
        with torch.no_grad():
            return self.log_weight(target, context.batch).exp()
