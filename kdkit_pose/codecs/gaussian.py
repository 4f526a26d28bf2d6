"""Target heatmaps: one Gaussian a keypoint, built from a row and a column of values."""

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError

Array = npt.NDArray[np.float64]


def labelled_keypoints(keypoints: npt.ArrayLike, visible: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Check the arguments of ``encode``: keypoints [K, 2] with the unlabelled ones at 0, and [K] which are
    labelled.

    Raises:
        DataError: Shapes do not fit, or a labelled keypoint is not finite.
    """
    points = np.asarray(keypoints, dtype=np.float64)
    labelled = np.asarray(visible) > 0
    if points.ndim != 2 or points.shape[1] != 2 or labelled.shape != points.shape[:1]:
        raise DataError(f"expected keypoints [K, 2] and visible [K], found {points.shape} and {labelled.shape}")
    broken = labelled & ~np.isfinite(points).all(axis=1)
    if broken.any():
        index = int(broken.argmax())
        raise DataError(
            f"keypoint {index} is labelled, but lies at {points[index].tolist()}: give it visibility 0"
        )
    return np.where(labelled[:, None], points, 0.0), labelled


def reaches_in(centers: Array, radius: float, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which squares of ``radius`` around ``centers`` [K, 2] touch a map of ``size`` (width, height), [K]."""
    touches = (centers + radius >= 0) & (centers - radius <= np.array(size) - 1)
    inside: npt.NDArray[np.bool_] = np.all(touches, axis=1)
    return inside


def gaussians(
    centers: Array,
    sigma: float,
    size: tuple[int, int],
    weight: npt.NDArray[np.float32],
    radius: float = np.inf,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Gaussians [K, h, w] of peak height ``weight`` [K] around ``centers`` [K, 2], all in pixels of the map.

    With a ``radius``, cells further than that from the centre along x or y are 0: the reference's square
    patch. They are written into ``out`` if it is given.
    """
    # exp(-(dx^2 + dy^2) / 2 sigma^2) is a product of two factors, so w + h exponentials do instead of w * h.
    profiles = []
    for axis in (0, 1):
        distance = np.arange(size[axis]) - centers[:, axis, None]
        profile = np.exp(-(distance**2) / (2 * sigma**2)) * (np.abs(distance) <= radius)
        profiles.append(profile.astype(np.float32))
    columns, rows = profiles
    maps: npt.NDArray[np.float32] = np.multiply((rows * weight[:, None])[:, :, None], columns[:, None, :], out=out)
    return maps
