"""Objectives: the terms of a stage's loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from kdkit.batch import Batch, read_field
from kdkit.errors import BatchError, ConfigurationError
from kdkit.losses.shapes import spatial_mismatch
from kdkit.naming import callable_name
from kdkit.reduction import REDUCTIONS, Reduction, reduce_samples
from kdkit.schedule import Schedule, as_schedule
from kdkit.teacher import Teacher
from kdkit.transforms import Identity, TargetTransform

Loss = Callable[[Tensor, Tensor], Tensor]
"""A pure function (prediction, target) -> unreduced map [B, ...]."""

Region = str | Callable[[Batch], Tensor]
"""Where an objective counts: a batch field, or a function of the batch, that gives weights [B], [B, K], ..."""

TeacherTargets = Mapping[str, Mapping[str, Tensor]]
"""Targets by teacher's name and output's name."""


@dataclass(frozen=True, repr=False)
class Objective(ABC):
    """One weighted term of a stage's loss.

    Args:
        output: the student's output it acts on.
        loss: a function (prediction, target) -> unreduced map.
        weight: a number or a :class:`Schedule`; while it is 0 the objective costs nothing.
        region: a batch field, or a function of the batch, laid on the loss map from the left.
        transform: applied to the target before the loss.
        reduction: ``mean`` of the weighted map, or ``weighted_mean``, divided by the region's sum.
        target: the target's name, where it differs from the output's.
        name: how logs call it; made from the source and the output by default.

    Raises:
        ConfigurationError: if a part is not what it must be.
    """

    output: str
    loss: Loss
    weight: float | Schedule = field(default=1.0, kw_only=True)
    region: Region | None = field(default=None, kw_only=True)
    transform: TargetTransform = field(default=Identity(), kw_only=True)
    reduction: Reduction = field(default="mean", kw_only=True)
    target: str = field(default="", kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", self.target or self.output)
        object.__setattr__(self, "name", self.name or f"{self.source}/{self.output}")
        if not callable(self.loss):
            raise ConfigurationError(f"objective '{self.name}': the loss {self.loss!r} is not a function")
        if not isinstance(self.transform, TargetTransform):
            raise ConfigurationError(
                f"objective '{self.name}': the transform {self.transform!r} is not a TargetTransform"
            )
        if self.reduction not in REDUCTIONS:
            raise ConfigurationError(
                f"objective '{self.name}': reduction '{self.reduction}' must be one of {', '.join(REDUCTIONS)}"
            )
        object.__setattr__(self, "weight", as_schedule(self.weight, f"objective '{self.name}': the weight"))

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the target comes from, for names and logs."""

    @property
    @abstractmethod
    def reads(self) -> tuple[str, ...]:
        """The batch fields the objective itself reads."""

    @abstractmethod
    def find_target(self, batch: Batch, targets: TeacherTargets) -> Tensor:
        """Return the target before its transform."""

    @property
    def schedule(self) -> Schedule:
        """The weight as a schedule."""
        return as_schedule(self.weight, "weight")

    @property
    def is_off(self) -> bool:
        """Whether the weight is 0 from beginning to end."""
        return not any(self.schedule.values())

    def sample_losses(self, prediction: Tensor, batch: Batch, targets: TeacherTargets) -> Tensor:
        """Return the unweighted loss of every sample, [B].

        Raises:
            BatchError: if prediction, target and region do not fit each other.
        """
        target = self.transform(self.find_target(batch, targets))
        try:
            if mismatch := spatial_mismatch(prediction, target):
                raise BatchError(mismatch)
            loss_map = self.loss(prediction, target)
            return reduce_samples(loss_map, self._read_region(batch), self.reduction)
        except BatchError as error:
            raise BatchError(f"objective '{self.name}': {error}") from error

    def _read_region(self, batch: Batch) -> Tensor | None:
        if self.region is None:
            return None
        if isinstance(self.region, str):
            return read_field(batch, self.region, f"objective '{self.name}'")
        return self.region(batch)

    @property
    def _region_reads(self) -> tuple[str, ...]:
        return (self.region,) if isinstance(self.region, str) else ()

    def __repr__(self) -> str:
        parts = [f"{self.name}: {callable_name(self.loss)}", f"weight={self.weight!r}"]
        if self.target != self.output:
            parts.append(f"target={self.target!r}")
        if self.region is not None:
            region = repr(self.region) if isinstance(self.region, str) else callable_name(self.region)
            parts.append(f"region={region}")
        if self.transform != Identity():
            parts.append(f"transform={self.transform!r}")
        if self.reduction != "mean":
            parts.append(f"reduction={self.reduction!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class Supervise(Objective):
    """Learning from ground truth: the target is a field of the batch, named as the output by default."""

    @property
    def source(self) -> str:
        """The word ``supervise``."""
        return "supervise"

    @property
    def reads(self) -> tuple[str, ...]:
        """The target's field and the region's."""
        return (self.target, *self._region_reads)

    def find_target(self, batch: Batch, targets: TeacherTargets) -> Tensor:
        """Return the batch field."""
        return read_field(batch, self.target, f"objective '{self.name}'")


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
        region: Region | None = None,
        transform: TargetTransform | None = None,
        reduction: Reduction = "mean",
        target: str = "",
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
            name=name,
        )

    @property
    def source(self) -> str:
        """The word ``distill`` and the teacher's name."""
        return f"distill/{self.teacher.name}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The region's field; what the teacher reads is the teacher's."""
        return self._region_reads

    def find_target(self, batch: Batch, targets: TeacherTargets) -> Tensor:
        """Return the teacher's output."""
        return targets[self.teacher.name][self.target]
