"""Whether what a loss of probabilities is given are some."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from kdkit.errors import BatchError
from kdkit.losses import bce
from kdkit.objective import Objective


def loss_function(objective: Objective) -> Any:
    """Return an objective's loss, without what a partial adds to it."""
    return objective.loss.func if isinstance(objective.loss, partial) else objective.loss


def require_probabilities(objectives: Sequence[Objective], predictions: Mapping[str, Tensor]) -> None:
    """Require outputs in [0, 1] where they are learned by ``bce``, which outside learns nothing, and says nothing.

    Waits for the device.

    Raises:
        BatchError: naming the objective, the output and its range.
    """
    for objective in objectives:
        if loss_function(objective) is bce and (values := predictions[objective.output]).numel():
            low, high = (float(value) for value in values.detach().aminmax())
            if low < 0 or high > 1:
                raise BatchError(
                    f"objective '{objective.name}' learns by bce, which takes probabilities, but the student's "
                    f"output '{objective.output}' goes from {low:.3g} to {high:.3g}: end the student with a "
                    f"sigmoid, or learn by losses.bce_with_logits"
                )
