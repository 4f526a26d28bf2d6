"""The plain codec, of Simple Baselines and HRNet."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from kdkit_pose.codecs.gaussian import Array
from kdkit_pose.codecs.gaussian_codec import GaussianCodec
from kdkit_pose.codecs.peak import find_peaks, interior, neighbourhood


@dataclass(frozen=True)
class MSRA(GaussianCodec):
    """Gaussians around whole heatmap cells, cut off at 3 sigma in a square patch; decoded as the highest cell,
    moved 1/4 pixel to its higher neighbour.

    Rounding to a cell loses up to half a heatmap pixel, which small inputs do not forgive: use :class:`DARK`
    there. Source: Simple Baselines (arXiv 1804.06208) and the HRNet reference implementation (arXiv
    1902.09212).

    >>> import numpy as np, torch
    >>> codec = MSRA(input_size=(96, 128))
    >>> heatmap, weight = codec.encode([[50.0, 70.0]], [2])
    >>> heatmap.shape, weight
    ((1, 32, 24), array([1.], dtype=float32))
    >>> codec.decode(torch.from_numpy(heatmap)[None])
    (tensor([[[52., 72.]]]), tensor([[1.]]))
    """

    name: ClassVar[str] = "msra"

    @property
    def _patch_radius(self) -> float:
        # The reference's square patch.
        return 3 * self.sigma

    def _centers_of_one(self, points: Array) -> Array:
        # The reference's int() cuts towards 0, which differs from floor just left of and above the map.
        return np.trunc(points / self.stride + 0.5)

    def _centers(self, points: Tensor) -> Tensor:
        return torch.trunc(points / self.stride + 0.5)

    def _decode_peaks(self, heatmap: Tensor) -> tuple[Tensor, Tensor]:
        cells, scores = find_peaks(heatmap)
        around = neighbourhood(heatmap, cells, radius=1)
        slope = torch.stack([around[..., 1, 2] - around[..., 1, 0], around[..., 2, 1] - around[..., 0, 1]], dim=-1)
        return cells + 0.25 * slope.sign() * interior(heatmap, cells, margin=1), scores
