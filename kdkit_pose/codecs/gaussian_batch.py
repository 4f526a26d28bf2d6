"""Target heatmaps of a whole batch by torch, where the batch is: what `gaussian` does for one person."""

import math

import torch
from torch import Tensor

from kdkit.errors import DataError


def labelled_batch(keypoints: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Check the arguments of ``encode_batch``: keypoints [B, K, 2] with those that are not labelled, or not
    finite, at 0, and [B, K] which are labelled.

    Raises:
        DataError: Shapes do not fit.
    """
    if keypoints.ndim != 3 or keypoints.shape[-1] != 2 or labelled.shape != keypoints.shape[:2]:
        raise DataError(
            f"expected keypoints [B, K, 2] and labelled [B, K], found {tuple(keypoints.shape)} and "
            f"{tuple(labelled.shape)}"
        )
    # As precise as for one person, where the device can.
    points = keypoints.to(torch.float32 if keypoints.device.type == "mps" else torch.float64)
    known = (labelled > 0) & points.isfinite().all(-1)
    return torch.where(known[..., None], points, 0.0), known


def reaches_in_batch(centers: Tensor, radius: float, size: tuple[int, int]) -> Tensor:
    """Which squares of ``radius`` around ``centers`` [B, K, 2] touch a map of ``size`` (width, height), [B, K]."""
    x, y = centers.unbind(-1)
    across = (x + radius >= 0) & (x - radius <= size[0] - 1)
    return across & (y + radius >= 0) & (y - radius <= size[1] - 1)


def gaussian_maps(
    centers: Tensor, sigma: float, size: tuple[int, int], weight: Tensor, radius: float = math.inf
) -> Tensor:
    """Gaussians [B, K, h, w] of peak height ``weight`` [B, K] around ``centers`` [B, K, 2], all in pixels of the
    map; with a ``radius`` cut off as by :func:`kdkit_pose.codecs.gaussian.gaussians`."""
    columns, rows = (
        _profile(center, sigma, length, radius) for center, length in zip(centers.unbind(-1), size, strict=True)
    )
    return (rows * weight[..., None])[..., :, None] * columns[..., None, :]


def _profile(center: Tensor, sigma: float, length: int, radius: float) -> Tensor:
    """The values [B, K, length], float32, of a Gaussian around ``center`` [B, K]."""
    distance = torch.arange(length, device=center.device, dtype=center.dtype) - center[..., None]
    values = torch.exp(-distance.square() / (2 * sigma**2))
    return torch.where(distance.abs() <= radius, values, 0.0).float()
