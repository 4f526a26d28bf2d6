"""A teacher's targets as they are to be stored."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kdkit.batch import Batch, to_device
from kdkit.cache.fingerprint import Prepare, read_sample
from kdkit.cache.header import StoredOutput
from kdkit.cache.records import Integers
from kdkit.errors import BatchError, CacheError, ConfigurationError
from kdkit.teacher import Teacher
from kdkit.transforms import Identity, TargetTransform

_VIEWS = 4  # of a sample, compared where all should be the same: fewer might be so by chance


class TargetSource:
    """Runs a teacher on a data set's batches.

    Args:
        teacher: the teacher.
        dataset: gives the sample of (index, view).
        outputs: the outputs that are stored.
        transforms: what is applied to them, by output.
        prepare: applied to every batch, on the device, before the teacher sees it.
        device: where the teacher runs; by default where it is.
    """

    def __init__(
        self,
        teacher: Teacher,
        dataset: Any,
        outputs: tuple[str, ...],
        transforms: Mapping[str, TargetTransform],
        prepare: Prepare | None,
        device: torch.device | None,
    ) -> None:
        self.teacher, self.dataset, self.device = teacher, dataset, device
        self._prepare = prepare
        self._transforms = {name: transforms.get(name, Identity()) for name in outputs}
        if device is not None:
            teacher.to(device)

    def first(self) -> dict[str, Tensor]:
        """Return the targets of the first sample, once it is known that reading it again gives the same.

        Raises:
            ConfigurationError: if it does not.
        """
        sample, again = (self._see(read_sample(self.dataset, 0, 0)) for _ in range(2))
        for name in self.teacher.reads:
            if name in sample and not torch.equal(sample[name], again[name]):
                raise ConfigurationError(
                    f"the data set gives another '{name}' when the same view of a sample is read again, so that "
                    f"no cached target would fit: draw what is random by kdkit.sampling.sample_generator"
                )
        return self._give(sample)

    def require_same_views(self) -> None:
        """Check that all views of a sample are the same, as far as the first sample shows.

        Raises:
            ConfigurationError: if they are not.
        """
        first, *others = (self._see(read_sample(self.dataset, 0, view)) for view in range(_VIEWS))
        for name in self.teacher.reads:
            if name in first and not all(torch.equal(first[name], other[name]) for other in others):
                raise ConfigurationError(
                    f"the data set gives another '{name}' for another view of a sample, but a canonical cache is "
                    f"of samples without augmentation: give the data set without it"
                )

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the targets of a batch, transformed."""
        return self._give(self._see(batch))

    def _see(self, batch: Batch) -> Batch:
        """What the teacher sees of a batch."""
        moved = dict(batch) if self.device is None else to_device(batch, self.device)
        with torch.no_grad():
            return moved if self._prepare is None else self._prepare(moved)

    def _give(self, seen: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            given = self.teacher.targets(seen)
            return {name: transform(given[name]) for name, transform in self._transforms.items()}


def check_keys(batch: Batch, ids: Integers, views: Integers) -> None:
    """Check that a batch holds the samples that were asked for.

    Raises:
        BatchError: if it does not say which it holds.
        ConfigurationError: if it holds others.
    """
    for name, expected in (("id", ids), ("view", views)):
        if name not in batch:
            raise BatchError(f"the data set's samples have no '{name}', by which cached targets are looked up")
        found = batch[name].numpy()
        if found.shape != expected.shape or (found != expected).any():
            raise ConfigurationError(
                f"the data set was asked for samples whose '{name}' is {expected[:4].tolist()}..., and gave "
                f"{found[:4].tolist()}...: give ids= in the data set's order, and samples by (index, view)"
            )


def check_target(name: str, target: Tensor, output: StoredOutput, ids: Integers, views: Integers) -> None:
    """Check that targets can be stored.

    Raises:
        CacheError: if they are of another shape than the first, or not finite.
    """
    if len(target) != len(ids) or tuple(target.shape[1:]) != output.shape:
        raise CacheError(
            f"the teacher's '{name}' is {list(target.shape)} for {len(ids)} samples, the cache's are "
            f"{list(output.shape)}: a cache is for targets of one shape"
        )
    finite = target.isfinite().reshape(len(target), -1).all(1).cpu().numpy()
    if not finite.all():
        raise CacheError(
            f"the teacher's '{name}' is not finite for the id {ids[~finite][0]}, view {views[~finite][0]}: look "
            f"at the teacher and at this sample"
        )
