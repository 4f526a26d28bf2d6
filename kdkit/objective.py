"""The abstract objective: one term of a stage's loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from kdkit.balance import Balance
from kdkit.batch import as_names, read_field
from kdkit.errors import BatchError, ConfigurationError
from kdkit.losses.shapes import is_broadcast, spatial_mismatch
from kdkit.naming import callable_name
from kdkit.probabilities import plain_loss, require_probabilities, require_probable_targets
from kdkit.reduction import REDUCTIONS, Reduction, reduce_samples, require_map
from kdkit.region import Region, as_regions, region_fields, region_weights, regions_repr
from kdkit.schedule import Schedule, as_schedule
from kdkit.step_context import StepContext
from kdkit.transforms import Identity, TargetTransform
from kdkit.weighting import Weighting

Loss = Callable[..., Tensor]
"""A pure function (prediction, target) -> unreduced map [B, ...]; batch fields may follow as keywords."""


@dataclass(frozen=True, repr=False)
class Objective(ABC):
    """One weighted term of a stage's loss.

    Args:
        output: the student's output it acts on.
        loss: a function (prediction, target) -> unreduced map.
        weight: a number or a :class:`Schedule`; while it is 0 the objective costs nothing.
        region: where and how much it counts, laid on the loss map from the left: a batch field, a function of
            the batch, a :class:`~kdkit.weighting.Weighting` of the untransformed target, or a tuple of these,
            which are multiplied.
        transform: applied to the target before the loss.
        reduction: ``mean`` of the weighted map, or ``weighted_mean``, divided by the region's sum.
        target: the target's name, where it differs from the output's.
        fields: batch fields that the loss takes beside prediction and target, as keywords: their names, or
            keyword by keyword the field. ``fields=("label",)`` calls ``loss(prediction, target, label=...)``.
        balance: what makes this term comparable with others; the same object is given to all of them.
        name: how logs call it; made from the source and the output by default.

    Raises:
        ConfigurationError: if a part is not what it must be.
    """

    output: str
    loss: Loss
    weight: float | Schedule = field(default=1.0, kw_only=True)
    region: Region | tuple[Region, ...] | None = field(default=None, kw_only=True)
    transform: TargetTransform = field(default=Identity(), kw_only=True)
    reduction: Reduction = field(default="mean", kw_only=True)
    target: str = field(default="", kw_only=True)
    fields: Mapping[str, str] | Sequence[str] = field(default=(), kw_only=True)
    balance: Balance | None = field(default=None, kw_only=True)
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
        if self.balance is not None and not isinstance(self.balance, Balance):
            raise ConfigurationError(f"objective '{self.name}': the balance {self.balance!r} is not a Balance")
        as_regions(self.region, f"objective '{self.name}'")
        object.__setattr__(self, "weight", as_schedule(self.weight, f"objective '{self.name}': the weight"))

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the target comes from, for names and logs."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The batch fields the objective itself reads; what a teacher reads is the teacher's."""
        return (*self._target_reads, *region_fields(self.regions), *self._loss_fields.values())

    @property
    def _target_reads(self) -> tuple[str, ...]:
        return ()

    @cached_property
    def _loss_fields(self) -> dict[str, str]:
        if isinstance(self.fields, Mapping):
            return dict(self.fields)
        return {name: name for name in as_names(self.fields)}

    @abstractmethod
    def find_target(self, context: StepContext) -> Tensor:
        """Return the target before its transform."""

    @cached_property
    def schedule(self) -> Schedule:
        """The weight as a schedule."""
        return as_schedule(self.weight, "weight")

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The regions whose product counts; none where everything does."""
        return as_regions(self.region, f"objective '{self.name}'")

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Yield every schedule of the objective, with words that say whose it is."""
        yield "the weight", self.schedule
        for region in self.regions:
            if isinstance(region, Weighting):
                yield from (("the region", schedule) for schedule in region.schedules())

    @cached_property
    def is_off(self) -> bool:
        """Whether the weight is 0 from beginning to end."""
        return not any(self.schedule.values())

    def sample_losses(self, context: StepContext) -> Tensor:
        """Return the unweighted loss of every sample, [B].

        Raises:
            BatchError: if prediction, target and region do not fit each other.
        """
        raw = self.find_target(context)
        try:
            loss_map = self._compare(context.predictions[self.output], self.transform(raw), context)
            require_map(loss_map)
            weights = region_weights(self.regions, raw, context, loss_map, f"objective '{self.name}'")
            return reduce_samples(loss_map, weights, self.reduction, context.over_processes)
        except BatchError as error:
            raise BatchError(f"objective '{self.name}': {error}") from error

    def _compare(self, prediction: Tensor, target: Tensor, context: StepContext) -> Tensor:
        extra = {
            keyword: read_field(context.batch, name, "the loss") for keyword, name in self._loss_fields.items()
        }
        if self.name in context.unseen:
            require_probabilities(self.loss, prediction, self.output)
            # What the data says may be anything where a region leaves it out, such as a class that is ignored.
            if not (self._target_reads and self.regions):
                require_probable_targets(self.loss, target, self.target)
        # A loss of the user's own need not check shapes: say what PyTorch does not.
        try:
            loss_map = self.loss(prediction, target, **extra)
        except RuntimeError as error:
            if mismatch := spatial_mismatch(prediction, target):
                raise BatchError(mismatch) from error
            raise
        if not _checks_shapes(self.loss) and is_broadcast(loss_map, prediction, target):
            raise BatchError(
                f"the loss spread a prediction of shape {tuple(prediction.shape)} and a target of shape "
                f"{tuple(target.shape)} over each other, to {tuple(loss_map.shape)}: give both one shape (add "
                f"a missing dimension where the batch is made, as label[:, None], or expand by a transform)"
            )
        return loss_map

    def __repr__(self) -> str:
        parts = [f"{self.name}: {callable_name(self.loss)}", f"weight={self.weight!r}"]
        if self.target != self.output:
            parts.append(f"target={self.target!r}")
        if self.regions:
            parts.append(f"region={regions_repr(self.regions)}")
        if self.transform != Identity():
            parts.append(f"transform={self.transform!r}")
        if self.reduction != "mean":
            parts.append(f"reduction={self.reduction!r}")
        if self._loss_fields:
            parts.append(f"fields={self._loss_fields!r}")
        if self.balance is not None:
            parts.append(f"balance={self.balance!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _checks_shapes(loss: Loss) -> bool:
    """Return whether a loss is kdkit's own: these check shapes themselves, and some relate unequal ones."""
    return getattr(plain_loss(loss), "__module__", "").startswith("kdkit.losses")
