"""A small cache of binarized targets, for steps that read theirs instead of running a teacher."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.reference.random_batches import KEYPOINTS
from kdkit import Batch, TargetCache, Teacher, build_cache
from kdkit.cache import BitWindow

RADIUS = 2.35
"""Of a disc, in cells: a Gaussian of standard deviation 2 binarized at 0.5."""


class Discs(Teacher):
    """A teacher that shows one disc a keypoint, at a place made of the sample's id.

    Args:
        heatmap_size: width and height of its maps.
    """

    name, reads, outputs = "discs", ("id",), ("heatmap",)

    def __init__(self, heatmap_size: tuple[int, int]) -> None:
        self.width, self.height = heatmap_size

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return maps [B, 17, h, w] of zeros and ones."""
        place = batch["id"][:, None] * 31 + torch.arange(KEYPOINTS, device=batch["id"].device) * 17
        x, y = place % self.width, place // self.width % self.height
        columns = torch.arange(self.width, device=place.device) - x[..., None]
        rows = torch.arange(self.height, device=place.device) - y[..., None]
        distance = rows[..., :, None] ** 2 + columns[..., None, :] ** 2
        return {"heatmap": (distance <= RADIUS**2).float()}

    def fingerprint(self) -> str:
        """Return what the maps depend on."""
        return f"discs of {self.width}x{self.height}"


class Numbers:
    """A data set that only numbers its samples, by 0 to ``samples`` - 1."""

    def __init__(self, samples: int) -> None:
        self.annotation_ids, self.seed = tuple(range(samples)), 0

    def __len__(self) -> int:
        return len(self.annotation_ids)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {"id": torch.tensor(key[0]), "view": torch.tensor(key[1])}

    def fingerprint(self) -> str:
        return f"{len(self)} numbers"


def cached_discs(folder: Path, samples: int, heatmap_size: tuple[int, int]) -> TargetCache:
    """Return a cache of the discs of some samples, one view each, in records of ``BitWindow(11)``.

    Args:
        folder: of the cache; made.
        samples: how many; their ids begin with 0.
        heatmap_size: width and height of a map.
    """
    teacher = Discs(heatmap_size)
    build_cache(folder, teacher, Numbers(samples), codecs={"heatmap": BitWindow(11)}, views=1)
    return TargetCache.open(folder)
