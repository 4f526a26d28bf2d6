"""Learning from the student itself: from another of its outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.balance import Balance
from kdkit.batch import as_names
from kdkit.errors import BatchError, ConfigurationError
from kdkit.objective import Loss, Objective
from kdkit.reduction import Reduction
from kdkit.region import Region
from kdkit.schedule import Schedule
from kdkit.step_context import StepContext
from kdkit.transforms import Identity, TargetTransform


@dataclass(frozen=True, repr=False, init=False)
class Imitate(Objective):
    """Learning from the student itself: the target is another of its outputs, without gradient.

    With :class:`~kdkit.Peers`, students teach each other (deep mutual learning, arXiv 1706.00384); with the
    outputs of one network, its deep layers teach its shallow ones (arXiv 1905.08094).

    Args:
        of: the student's output or outputs to imitate; the mean of several.
        output: the student's output that learns.
        loss: a function (prediction, target) -> unreduced map.

    The other arguments are :class:`Objective`'s.
    """

    of: tuple[str, ...]

    def __init__(
        self,
        of: str | Sequence[str],
        output: str,
        loss: Loss,
        *,
        weight: float | Schedule = 1.0,
        region: Region | tuple[Region, ...] | None = None,
        transform: TargetTransform | None = None,
        reduction: Reduction = "mean",
        fields: Mapping[str, str] | Sequence[str] = (),
        balance: Balance | None = None,
        name: str = "",
    ) -> None:
        object.__setattr__(self, "of", as_names(of))
        if not self.of or output in self.of:
            raise ConfigurationError(f"Imitate: the output '{output}' must imitate others, found of={of!r}")
        super().__init__(
            output,
            loss,
            weight=weight,
            region=region,
            transform=transform or Identity(),
            reduction=reduction,
            fields=fields,
            balance=balance,
            name=name,
        )

    @property
    def source(self) -> str:
        """The word ``imitate`` and the outputs imitated."""
        return f"imitate/{'+'.join(self.of)}"

    def find_target(self, context: StepContext) -> Tensor:
        """Return the mean of the imitated outputs, detached.

        Raises:
            BatchError: if they differ in shape.
        """
        imitated = [context.predictions[name].detach() for name in self.of]
        shapes = {tuple(value.shape) for value in imitated}
        if len(shapes) > 1:
            raise BatchError(
                f"objective '{self.name}': the outputs {list(self.of)} have the shapes {sorted(shapes)}: only "
                f"outputs of one shape can be averaged; imitate them in objectives of their own"
            )
        return imitated[0] if len(imitated) == 1 else torch.stack(imitated).mean(0)
