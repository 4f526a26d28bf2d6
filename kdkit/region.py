"""Regions: where an objective counts, and how much."""

from collections.abc import Callable, Sequence

from torch import Tensor

from kdkit.batch import Batch, read_field
from kdkit.errors import ConfigurationError
from kdkit.naming import callable_name
from kdkit.reduction import broadcast_region
from kdkit.step_context import StepContext
from kdkit.weighting import Weighting

Region = str | Callable[[Batch], Tensor] | Weighting
"""A batch field, a function of the batch, or a weighting of the target: weights [B], [B, K], [B, 1, h, w] ..."""


def as_regions(region: Region | Sequence[Region] | None, owner: str) -> tuple[Region, ...]:
    """Return one region, several, or none as a tuple.

    Raises:
        ConfigurationError: if something is no region; ``owner`` says whose it is.
    """
    several = not isinstance(region, str | Weighting) and isinstance(region, Sequence)
    regions = tuple(region) if several else () if region is None else (region,)  # type: ignore[arg-type]
    for one in regions:
        if not isinstance(one, str | Weighting) and not callable(one):
            raise ConfigurationError(
                f"{owner}: the region {one!r} must be a batch field, a function of the batch, a Weighting, or a "
                f"tuple of these"
            )
    return regions  # type: ignore[return-value]


def region_fields(regions: Sequence[Region]) -> tuple[str, ...]:
    """Return the batch fields that regions are known to read; a function's are not."""
    names: list[str] = []
    for region in regions:
        names += [region] if isinstance(region, str) else region.reads if isinstance(region, Weighting) else []
    return tuple(names)


def region_weights(
    regions: Sequence[Region], target: Tensor, context: StepContext, loss_map: Tensor, reader: str
) -> Tensor | None:
    """Return the product of all regions, fit to multiply the loss map, or None for ones.

    Args:
        regions: the regions.
        target: the target before its transform, for weightings.
        context: the step.
        loss_map: [B, ...], onto which each region is laid from the left.
        reader: whose regions these are, for errors.

    Raises:
        BatchError: if a field is missing or a region cannot be laid on the map.
    """
    weights: Tensor | None = None
    for region in regions:
        laid = broadcast_region(_values(region, target, context, reader), loss_map)
        weights = laid if weights is None else weights * laid
    return weights


def regions_repr(regions: Sequence[Region]) -> str:
    """Return the regions as text that is the same in every process."""
    words = [callable_name(one) if not isinstance(one, str | Weighting) else repr(one) for one in regions]
    return words[0] if len(words) == 1 else f"({', '.join(words)})"


def _values(region: Region, target: Tensor, context: StepContext, reader: str) -> Tensor:
    if isinstance(region, str):
        return read_field(context.batch, region, reader)
    if isinstance(region, Weighting):
        return region.weigh(target, context)
    return region(context.batch)
