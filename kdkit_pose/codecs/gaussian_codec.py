"""What the codecs of Gaussian targets share: how they are made, for one person or a whole batch on its device."""

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdkit_pose.codecs.codec import Codec, FloatArray
from kdkit_pose.codecs.gaussian import Array, gaussians, labelled_keypoints, reaches_in
from kdkit_pose.codecs.gaussian_batch import gaussian_maps, labelled_batch, reaches_in_batch


@dataclass(frozen=True)
class GaussianCodec(Codec):
    """A codec whose targets are Gaussians of ``sigma`` around a place that each keypoint has by itself; one that
    lies beyond 3 sigma of the map weighs 0."""

    def encode(self, keypoints: npt.ArrayLike, visible: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :meth:`Codec.encode`."""
        centers, weight = self._placed(keypoints, visible)
        return gaussians(centers, self.sigma, self.heatmap_size, weight, self._patch_radius), weight

    def encode_into(
        self, keypoints: npt.ArrayLike, visible: npt.ArrayLike, heatmap: FloatArray, weight: FloatArray
    ) -> None:
        """See :meth:`Codec.encode_into`; here nothing is made first and copied after."""
        if type(self).encode is not GaussianCodec.encode:  # a codec of one's own may change only that
            return super().encode_into(keypoints, visible, heatmap, weight)
        centers, weight[:] = self._placed(keypoints, visible)
        gaussians(centers, self.sigma, self.heatmap_size, weight, self._patch_radius, out=heatmap)
        return None

    def encode_batch(self, keypoints: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Codec.encode_batch`; here by torch, without waiting for the device."""
        points, known = labelled_batch(keypoints, labelled)
        centers = self._centers(points)
        weight = (known & reaches_in_batch(centers, 3 * self.sigma, self.heatmap_size)).float()
        return gaussian_maps(centers, self.sigma, self.heatmap_size, weight, self._patch_radius), weight

    def _placed(self, keypoints: npt.ArrayLike, visible: npt.ArrayLike) -> tuple[Array, FloatArray]:
        """Where one person's targets lie [K, 2], in heatmap px, and their weights [K]."""
        points, labelled = labelled_keypoints(keypoints, visible)
        centers = self._centers_of_one(points)
        return centers, (labelled & reaches_in(centers, 3 * self.sigma, self.heatmap_size)).astype(np.float32)

    @property
    def _patch_radius(self) -> float:
        """How far a target reaches along x and y, in heatmap px."""
        return math.inf

    @abstractmethod
    def _centers_of_one(self, points: Array) -> Array:
        """Where the targets of keypoints [K, 2] in px of the input lie, in heatmap px."""

    @abstractmethod
    def _centers(self, points: Tensor) -> Tensor:
        """Where the targets of keypoints [B, K, 2] in px of the input lie, in heatmap px."""
