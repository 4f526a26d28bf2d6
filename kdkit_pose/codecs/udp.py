"""The codec of unbiased data processing: the distance between the first and the last pixel is the unit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs.newton import Derivatives, near_derivatives
from kdkit_pose.codecs.unbiased import Unbiased
from kdkit_pose.geometry import corner_affine


@dataclass(frozen=True)
class UDP(Unbiased):
    """Lengths are size - 1 in affine map, encoding and decoding alike, so mirrored maps need no shift.

    The crop's corners are the centres of the input's corner pixels, and those are the centres of the heatmap's
    corner cells: mirroring the picture mirrors the maps exactly, which the plain convention misses by 3/4 of a
    cell. Cells are (input size - 1) / (heatmap size - 1) input pixels wide and high. Targets are Gaussians
    around the exact place, decoded by one Newton step on the logarithm of the smoothed map. Source: Huang et
    al., *The Devil is in the Details: Delving into Unbiased Data Processing for Human Pose Estimation* (arXiv
    1911.07524), section 3, its Gaussian targets. A side of one cell has no such distance: heatmaps are at least
    2 x 2 cells, inputs 8 x 8 pixels.

    >>> import torch
    >>> codec = UDP(input_size=(96, 128))
    >>> codec.unflip_shift
    0
    >>> heatmap, weight = codec.encode([[50.0, 70.0], [95.0, 127.0]], [2, 2])
    >>> keypoints, scores = codec.decode(torch.from_numpy(heatmap)[None])
    >>> keypoints.round(decimals=2)
    tensor([[[ 50.,  70.],
             [ 95., 127.]]])
    """

    name: ClassVar[str] = "udp"
    reach: ClassVar[int] = 1
    unflip_shift: ClassVar[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.heatmap_size) < 2:
            raise ConfigurationError(
                f"codec {self.name!r}: input_size {self.input_size} gives heatmaps of {self.heatmap_size} cells, "
                f"but its unit is the distance between a side's first and last: each side needs 2 cells, which is "
                f"{2 * self.stride} pixels, or more"
            )

    @property
    def cell_size(self) -> tuple[float, float]:
        """Width and height of a heatmap's pixel, in pixels of the input: a little more than the stride."""
        (width, height), (columns, rows) = self.input_size, self.heatmap_size
        return (width - 1) / (columns - 1), (height - 1) / (rows - 1)

    def affine(
        self, center: npt.ArrayLike, scale: npt.ArrayLike, rotation: float = 0.0
    ) -> npt.NDArray[np.float64]:
        """See :meth:`Codec.affine`; here that of :func:`kdkit_pose.geometry.corner_affine`."""
        return corner_affine(center, scale, self.input_size, rotation)

    @staticmethod
    def _derivatives(values: Tensor) -> Derivatives:
        return near_derivatives(values)
