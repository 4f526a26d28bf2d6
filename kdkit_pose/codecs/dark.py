"""The distribution-aware codec: targets and decoding below the heatmap's grid."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from kdkit_pose.codecs.newton import Derivatives, wide_derivatives
from kdkit_pose.codecs.unbiased import Unbiased


@dataclass(frozen=True)
class DARK(Unbiased):
    """Gaussians around the exact place; decoded by one Newton step on the logarithm of the smoothed map.

    Input, affine map and flip shift are :class:`MSRA`'s. Source: Zhang et al., *Distribution-Aware Coordinate
    Representation for Human Pose Estimation* (arXiv 1910.06278), section 3.

    >>> import torch
    >>> codec = DARK(input_size=(96, 128))
    >>> heatmap, weight = codec.encode([[50.0, 70.0]], [2])
    >>> keypoints, scores = codec.decode(torch.from_numpy(heatmap)[None])
    >>> keypoints.round(decimals=2)
    tensor([[[50., 70.]]])
    """

    name: ClassVar[str] = "dark"
    reach: ClassVar[int] = 2

    @staticmethod
    def _derivatives(values: Tensor) -> Derivatives:
        return wide_derivatives(values)
