"""The distribution-aware codec: targets and decoding below the heatmap's grid."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdkit_pose.codecs.codec import Codec, FloatArray
from kdkit_pose.codecs.gaussian import gaussians, labelled_keypoints, reaches_in
from kdkit_pose.codecs.peak import find_peaks, interior, neighbourhood

# The derivatives are measured this far around the peak; what they say of places beyond is a guess.
_STENCIL = 2


@dataclass(frozen=True)
class DARK(Codec):
    """Gaussians around the exact place; decoded by one Newton step on the logarithm of the smoothed map.

    The logarithm of a Gaussian is a parabola, whose top one Newton step finds exactly. Source: Zhang et al.,
    *Distribution-Aware Coordinate Representation for Human Pose Estimation* (arXiv 1910.06278), section 3.

    >>> import torch
    >>> codec = DARK(input_size=(96, 128))
    >>> heatmap, weight = codec.encode([[50.0, 70.0]], [2])
    >>> keypoints, scores = codec.decode(torch.from_numpy(heatmap)[None])
    >>> keypoints.round(decimals=2)
    tensor([[[50., 70.]]])
    """

    name: ClassVar[str] = "dark"

    def encode(self, keypoints: npt.ArrayLike, visible: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :meth:`Codec.encode`; the Gaussian is not cut off, but one beyond 3 sigma weighs 0."""
        points, labelled = labelled_keypoints(keypoints, visible)
        centers = points / self.stride
        weight = (labelled & reaches_in(centers, 3 * self.sigma, self.heatmap_size)).astype(np.float32)
        return gaussians(centers, self.sigma, self.heatmap_size, weight), weight

    @property
    def blur_kernel(self) -> int:
        """Width of the smoothing before the decoding, in heatmap pixels: 11 for sigma 2, 17 for sigma 3."""
        return max(3, 2 * round(3 * self.sigma) - 1)

    def _decode_peaks(self, heatmap: Tensor) -> tuple[Tensor, Tensor]:
        cells, scores = find_peaks(heatmap)
        smooth = _smooth(heatmap, self.blur_kernel)
        around = neighbourhood(smooth, cells, _STENCIL).clamp(min=1e-10).log()
        step = newton_step(around)
        return cells + torch.where(interior(heatmap, cells, margin=_STENCIL), step, 0.0), scores


def newton_step(log_values: Tensor) -> Tensor:
    """The step [..., 2] (x, y) from the middle of ``log_values`` [..., 5, 5] to the top of the parabola
    through them.

    Where the values do not curve downwards in every direction there is no top and the step is 0; a step
    further than the stencil reaches is cut back to it, 2 cells along each axis.
    """
    x = log_values[..., 2, :]
    y = log_values[..., :, 2]
    slope_x = 0.5 * (x[..., 3] - x[..., 1])
    slope_y = 0.5 * (y[..., 3] - y[..., 1])
    # Second differences two cells apart, as in the reference: they smooth once more.
    curve_xx = 0.25 * (x[..., 4] - 2 * x[..., 2] + x[..., 0])
    curve_yy = 0.25 * (y[..., 4] - 2 * y[..., 2] + y[..., 0])
    rising = log_values[..., 3, 3] + log_values[..., 1, 1]
    falling = log_values[..., 1, 3] + log_values[..., 3, 1]
    curve_xy = 0.25 * (rising - falling)
    determinant = curve_xx * curve_yy - curve_xy**2
    # Below this the curvature is float32's rounding of the logarithms, not the map's.
    top = (determinant > 1e-9) & (curve_xx < 0)
    safe = torch.where(top, determinant, 1.0)
    step = torch.stack([curve_xy * slope_y - curve_yy * slope_x, curve_xy * slope_x - curve_xx * slope_y], dim=-1)
    step = step / safe[..., None]
    return torch.where(top[..., None], step, 0.0).clamp(-_STENCIL, _STENCIL)


def _smooth(heatmap: Tensor, kernel: int) -> Tensor:
    """``heatmap`` [B, K, h, w] after a Gaussian blur, zero beyond the border, maxima as they were."""
    # Two products with band matrices: on maps of one channel faster than a convolution, and not TF32 by default.
    height, width = heatmap.shape[-2:]
    smooth = _blur_matrix(height, kernel, heatmap.device) @ heatmap @ _blur_matrix(width, kernel, heatmap.device)
    before, after = heatmap.amax(dim=(-2, -1), keepdim=True), smooth.amax(dim=(-2, -1), keepdim=True)
    return smooth * torch.where(after > 0, before / after.clamp(min=torch.finfo(after.dtype).tiny), 1.0)


def _blur_matrix(size: int, kernel: int, device: torch.device) -> Tensor:
    """The symmetric matrix [size, size], float32, whose product with a signal is the signal blurred."""
    # The width that OpenCV gives a Gaussian of this kernel, with which DARK's results were made.
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    window = torch.exp(-(torch.arange(-(kernel // 2), kernel // 2 + 1) ** 2) / (2 * sigma**2))
    cells = torch.arange(size, device=device)
    distance = (cells[:, None] - cells).abs()
    blur = torch.exp(-(distance**2) / (2 * sigma**2)) / float(window.sum())
    return torch.where(distance <= kernel // 2, blur, 0.0)
