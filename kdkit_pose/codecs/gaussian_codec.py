"""What the codecs of Gaussian targets share: a whole batch of them, made on its device."""

import math
from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from kdkit_pose.codecs.codec import Codec
from kdkit_pose.codecs.gaussian_batch import gaussian_maps, labelled_batch, reaches_in_batch


@dataclass(frozen=True)
class GaussianCodec(Codec):
    """A codec whose targets are Gaussians of ``sigma`` around a place that each keypoint has by itself."""

    def encode_batch(self, keypoints: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Codec.encode_batch`; here by torch, without waiting for the device."""
        points, known = labelled_batch(keypoints, labelled)
        centers = self._centers(points)
        weight = (known & reaches_in_batch(centers, 3 * self.sigma, self.heatmap_size)).float()
        return gaussian_maps(centers, self.sigma, self.heatmap_size, weight, self._patch_radius), weight

    @property
    def _patch_radius(self) -> float:
        """How far a target reaches along x and y, in heatmap px."""
        return math.inf

    @abstractmethod
    def _centers(self, points: Tensor) -> Tensor:
        """Where the targets of keypoints [B, K, 2] in px of the input lie, in heatmap px."""
