"""What DARK and UDP share: Gaussians around the exact place, found again below the heatmap's grid."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from kdkit_pose.codecs.gaussian import Array
from kdkit_pose.codecs.gaussian_codec import GaussianCodec
from kdkit_pose.codecs.newton import Derivatives
from kdkit_pose.codecs.peak import find_peaks
from kdkit_pose.codecs.refine import refine
from kdkit_pose.codecs.smoothing import smooth


@dataclass(frozen=True)
class Unbiased(GaussianCodec):
    """Encodes around the exact place, and cuts no Gaussian off; decodes by a Newton step on the logarithm of the
    smoothed map.

    The logarithm of a Gaussian is a parabola, whose top one Newton step finds exactly, at the map's border too:
    see :func:`kdkit_pose.codecs.refine.refine`.
    """

    reach: ClassVar[int]

    def _centers_of_one(self, points: Array) -> Array:
        centers: Array = points / np.array(self.cell_size)
        return centers

    def _centers(self, points: Tensor) -> Tensor:
        width, height = self.cell_size
        # A tensor of the two would have to be copied to the device first.
        return torch.stack([points[..., 0] / width, points[..., 1] / height], dim=-1)

    @property
    def blur_kernel(self) -> int:
        """Width of the smoothing before the decoding, in heatmap pixels: 11 for sigma 2, 17 for sigma 3."""
        return max(3, 2 * round(3 * self.sigma) - 1)

    @staticmethod
    @abstractmethod
    def _derivatives(values: Tensor) -> Derivatives:
        """Those of log values [..., 2 reach + 1, 2 reach + 1] at their middle."""

    def _decode_peaks(self, heatmap: Tensor) -> tuple[Tensor, Tensor]:
        cells, scores = find_peaks(heatmap)
        points = refine(
            smooth(heatmap, self.blur_kernel, margin=self.reach),
            cells,
            kernel=self.blur_kernel,
            sigma=self.sigma,
            reach=self.reach,
            derivatives=self._derivatives,
        )
        # A map without a positive value has nothing to be refined.
        return torch.where(scores[..., None] > 0, points, 0.0), scores
