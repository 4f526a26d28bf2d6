"""Learning from a teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from kdkit.balance import Balance
from kdkit.errors import ConfigurationError
from kdkit.objective import Loss, Objective
from kdkit.reduction import Reduction
from kdkit.region import Region
from kdkit.schedule import Schedule
from kdkit.step_context import StepContext
from kdkit.teacher import Teacher
from kdkit.transforms import Identity, TargetTransform


@dataclass(frozen=True, repr=False, init=False)
class Distill(Objective):
    """Learning from a teacher: the target is one of its outputs, named as the student's by default."""

    teacher: Teacher

    def __init__(
        self,
        teacher: Teacher,
        output: str,
        loss: Loss,
        *,
        weight: float | Schedule = 1.0,
        region: Region | tuple[Region, ...] | None = None,
        transform: TargetTransform | None = None,
        reduction: Reduction = "mean",
        target: str = "",
        fields: Mapping[str, str] | Sequence[str] = (),
        balance: Balance | None = None,
        name: str = "",
    ) -> None:
        if not isinstance(teacher, Teacher):
            raise ConfigurationError(
                f"Distill: {type(teacher).__name__} is not a Teacher; wrap a network as "
                f"ModuleTeacher(name, network, inputs=..., outputs=...)"
            )
        object.__setattr__(self, "teacher", teacher)
        super().__init__(
            output,
            loss,
            weight=weight,
            region=region,
            transform=transform or Identity(),
            reduction=reduction,
            target=target,
            fields=fields,
            balance=balance,
            name=name,
        )

    @property
    def source(self) -> str:
        """The word ``distill`` and the teacher's name."""
        return f"distill/{self.teacher.name}"

    def find_target(self, context: StepContext) -> Tensor:
        """Return the teacher's output."""
        return context.targets[self.teacher.name][self.target]
