"""A teacher whose one cached map a sample serves every view of it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from kdkit.batch import Batch, read_fields
from kdkit.cache.canonical import require_canonical
from kdkit.cache.lookup import Lookup
from kdkit.cache.peak_width import keep_width
from kdkit.cache.target_cache import TargetCache
from kdkit.cache.warping import warp_maps
from kdkit.errors import BatchError, ConfigurationError
from kdkit.teacher import Teacher

Width = Literal["warped", "kept"]


class CanonicalTeacher(Teacher):
    """A teacher that takes a cached map of each sample without augmentation, and warps it to the sample's view.

    It gives *nearly* what the live teacher gave for the view: the teacher never saw the view itself, peaks grow
    and shrink with the zoom unless their width is kept, and what the view shows beyond the sample without
    augmentation is 0. In exchange one record a sample serves any number of epochs, of any augmentation that is an
    affine map. Transforms come after the warp: an objective's ``transform=``, or a
    :class:`kdkit.TransformedTeacher` around this one.

    Maps are warped by :func:`kdkit.cache.warp_maps`, without gradient, on the device of the batch.

    Args:
        name: the teacher's name, unique within a run.
        cache: a canonical cache: one of one view, of samples without augmentation, made with
            ``fingerprint=CANONICAL``.
        swapped: for each output, which channels change places where a sample is mirrored: channel ``i`` of a
            mirrored sample is channel ``swapped[output][i]`` of the map, such as the left eye's of the right's.
            Outputs that are not named keep theirs.
        width: of the peaks under a zoom. ``warped`` with the map, which is right for maps that cover the picture,
            such as a segmentation's; or ``kept``, for maps of one peak, such as heatmaps, whose width does not
            depend on the zoom: see :func:`kdkit.cache.keep_width`.
        warp: the batch field that says where a view lies, float32 [B, 2, 3]: the affine map from cells of the
            view's map to those of the cached one, mirroring included; see :func:`kdkit.cache.warp_maps`.
        mirrored: the batch field that says which samples are mirrored, bool [B]; not read if nothing is swapped.
        records: the batch field that holds the records, as :class:`kdkit.cache.CachedDataset` puts them there. By
            default they are looked up by the field ``id``; where that is on an accelerator, the host waits for it
            at every step.

    Raises:
        ConfigurationError: if ``cache`` is no canonical TargetCache, or holds targets that cannot be warped,
            ``swapped`` is not of its outputs, or not an exchange of their channels, or ``width`` is another.
    """

    def __init__(
        self,
        name: str,
        cache: TargetCache,
        *,
        swapped: Mapping[str, Sequence[int]],
        width: Width = "warped",
        warp: str = "warp",
        mirrored: str = "mirrored",
        records: str | None = None,
    ) -> None:
        self._lookup = Lookup(f"teacher '{name}'", cache, records, keys=("id",))
        if not cache.canonical:
            raise ConfigurationError(
                f"teacher '{name}': the cache '{cache.path}' holds a target for each of {cache.views} views: use "
                f"CachedTeacher, or build one of samples without augmentation, fingerprint=CANONICAL"
            )
        require_canonical(cache.header)
        if width not in get_args(Width):
            raise ConfigurationError(f"teacher '{name}': width is {width!r}, it must be one of {get_args(Width)}")
        self.name, self.cache, self.records, self.width = name, cache, records, width
        self.swapped = {output: tuple(swapped[output]) for output in sorted(swapped)}
        self._check_swapped()
        self.outputs = cache.outputs
        self._places: tuple[str, ...] = (warp, mirrored) if self.swapped else (warp,)
        self.reads = (*self._lookup.reads, *self._places)
        self._orders: dict[tuple[str, torch.device], Tensor] = {}

    @property
    def convention(self) -> Mapping[str, str]:
        """The convention of the teacher that the cache was made with."""
        return self.cache.header.convention

    @property
    def usage(self) -> Mapping[str, str]:
        """What its header records, of that teacher and of the building."""
        return self.cache.header.recorded

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cached targets, warped to a batch's views, by name: float32 [B, C, h, w].

        Raises:
            BatchError: if the batch lacks a field that the teacher reads, or one is not of its shape.
            CacheError: if the cache lacks an id.
        """
        warp, *mirrored = read_fields(batch, self._places, f"teacher '{self.name}'")
        if warp.shape != (len(warp), 2, 3) or not warp.is_floating_point():
            raise BatchError(
                f"teacher '{self.name}' reads affine maps, float32 [B, 2, 3], in the field '{self._places[0]}', "
                f"found {warp.dtype} {list(warp.shape)}"
            )
        with torch.no_grad():
            targets = self._lookup.targets(batch)
            for output in self.swapped:
                targets[output] = self._swap(output, targets[output], mirrored[0])
            return {name: self._warp(maps, warp.to(maps.dtype)) for name, maps in targets.items()}

    def fingerprint(self) -> str:
        """Return a hash of what the cache was made of, how it is stored, and how it is warped."""
        parts = (sorted(self.cache.header.items().items()), self.swapped, self.width)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _warp(self, maps: Tensor, warp: Tensor) -> Tensor:
        return warp_maps(maps, keep_width(maps, warp) if self.width == "kept" else warp)

    def _swap(self, output: str, maps: Tensor, mirrored: Tensor) -> Tensor:
        """Maps [B, C, h, w] with their channels exchanged where ``mirrored`` [B]."""
        count, channels = maps.shape[:2]
        if mirrored.shape != (count,):
            raise BatchError(
                f"teacher '{self.name}' reads which samples are mirrored, bool [{count}], in the field "
                f"'{self._places[1]}', found {mirrored.dtype} {list(mirrored.shape)}"
            )
        kept = torch.arange(channels, device=maps.device)
        order = torch.where(mirrored.bool()[:, None], self._order(output, maps.device), kept)
        starts = channels * torch.arange(count, device=maps.device)
        return maps.flatten(0, 1).index_select(0, (starts[:, None] + order).flatten()).view_as(maps)

    def _order(self, output: str, device: torch.device) -> Tensor:
        """An output's exchanged channels [C]; copied to each device once."""
        if (output, device) not in self._orders:
            self._orders[output, device] = torch.tensor(self.swapped[output], device=device)
        return self._orders[output, device]

    def _check_swapped(self) -> None:
        for output, order in self.swapped.items():
            if output not in self.cache.outputs:
                raise ConfigurationError(
                    f"teacher '{self.name}': swapped names '{output}', the cache holds {list(self.cache.outputs)}"
                )
            channels = self.cache.shapes[output][0]
            # Exchanged twice, each channel is at its own place again.
            if sorted(order) != list(range(channels)) or any(order[order[i]] != i for i in range(channels)):
                raise ConfigurationError(
                    f"teacher '{self.name}': swapped['{output}'] is {list(order)}; it must name for each of the "
                    f"{channels} channels of '{output}' the one it changes places with, or itself"
                )

    def __repr__(self) -> str:
        return f"CanonicalTeacher({self.name!r}, {self.cache!r}, swapped={self.swapped}, width={self.width!r})"
