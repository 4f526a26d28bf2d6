"""Decoding by the centroid of the peak's region, for flat discs, which have no single highest cell."""

import torch
from torch import Tensor

from kdkit_pose.codecs.newton import wide_derivatives
from kdkit_pose.codecs.peak import find_peaks
from kdkit_pose.codecs.refine import refine
from kdkit_pose.codecs.smoothing import smooth

WINDOW = 0.7
"""The window's standard deviation, a sigma of the targets being the unit."""
LEAST_KERNEL = 5
"""The window's least width in cells: 3 are narrower than a disc of sigma 1, whose inside is then flat."""
_REACH = 2


def peak_centroids(heatmap: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The centroid of the region around each map's peak, where a Gaussian window is the region.

    That is the point which is itself the centroid of the map's positive values, weighted by a Gaussian around
    it. Such points are the tops of the map smoothed by this Gaussian (Comaniciu and Meer, *Mean Shift*, 2002),
    so the highest cell of the smoothed map is sought and a Newton step goes on from there. A disc, whose own
    highest cell may be any of it, is found as a whole; a second person's peak elsewhere does not pull.

    The window is 0.7 ``sigma`` wide, and not below 5 cells. On the maps of students that learnt binarized targets
    this errs less than the centroid of a region cut out at a share of the peak's value, with any share and
    weighting, which a single noisy cell can extend: compared by ``benchmarks/decoder_study.py``.

    Args:
        heatmap: [B, K, h, w], finite, floating.
        sigma: Standard deviation of the Gaussians that were binarized, in pixels of the heatmap.

    Returns:
        Points [B, K, 2] (x, y) in pixels of the heatmap, always finite, and the peaks' values [B, K]; (0, 0)
        and 0 for a map without a positive value.
    """
    _, peak = find_peaks(heatmap)
    kernel = window_kernel(WINDOW * sigma)
    smoothed = smooth(heatmap.clamp(min=0), kernel, margin=_REACH)
    cells, _ = find_peaks(smoothed[..., _REACH:-_REACH, _REACH:-_REACH])
    # At the border the disc counts as a Gaussian of about its own width.
    points = refine(
        smoothed, cells, kernel=kernel, sigma=WINDOW * sigma, reach=_REACH, derivatives=wide_derivatives
    )
    return torch.where(peak[..., None] > 0, points, 0.0), peak


def window_kernel(sigma: float) -> int:
    """The width of the blur whose standard deviation is nearest to ``sigma``: blur_sigma's rule turned round.

    >>> window_kernel(0.7), window_kernel(1.4), window_kernel(2.1)
    (5, 7, 11)
    """
    return max(LEAST_KERNEL, 2 * round((sigma - 0.8) / 0.3 + 1) + 1)
