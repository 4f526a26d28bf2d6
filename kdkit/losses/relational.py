"""Relational distillation (RKD): how the samples of a batch lie to each other."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.numerics import widen
from kdkit.losses.shapes import require_same_samples


def relational_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss between the student's and the teacher's distances of every two samples.

    Each sample is flattened to a vector. Distances are divided by their mean over the pairs of different
    samples, the student's and the teacher's each by their own, so that neither scale nor place matters. The
    diagonal is 0; the mean of the map is what the authors' code minimises. Samples nearer to each other than
    rounding can tell (in float32 about 0.003 of the batch's spread) have distance 0, without a gradient; so
    has a batch of one.

    Args:
        prediction: [B, ...].
        target: [B, ...]; everything but B may differ.

    Returns:
        [B, B], float32 at least.

    Raises:
        BatchError: if the numbers of samples differ, or there is nothing but samples.

    Source: Park et al., Relational Knowledge Distillation (arXiv 1904.05068), eq. 4-7, the distance-wise loss.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
        >>> larger_elsewhere = torch.cat([2 * corners + 1, torch.zeros(3, 5)], dim=1)
        >>> relational_distance(larger_elsewhere, corners).abs().max() < 1e-6
        tensor(True)
    """
    require_same_samples(prediction, target, "relational_distance")
    # The paper's Huber loss turns from square to straight at 1.
    return F.smooth_l1_loss(_relative_distances(prediction), _relative_distances(target), reduction="none")


def relational_angle(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss between the student's and the teacher's cosines of the angle of every three samples.

    Each sample is flattened to a vector; entry [j, i, k] compares the angle at sample j between the directions
    to i and to k. Where i or k coincides with j (as in :func:`relational_distance`) there is no angle, and the
    cosine is 0 without a gradient. The mean of the map is what the authors' code minimises. Memory grows with
    the cube of B.

    Args:
        prediction: [B, ...].
        target: [B, ...]; everything but B may differ.

    Returns:
        [B, B, B], the angle's vertex first, float32 at least.

    Raises:
        BatchError: if the numbers of samples differ, or there is nothing but samples.

    Source: Park et al., Relational Knowledge Distillation (arXiv 1904.05068), eq. 7-9, the angle-wise loss.
    """
    require_same_samples(prediction, target, "relational_angle")
    return F.smooth_l1_loss(_angles(prediction), _angles(target), reduction="none")


def _relative_distances(samples: Tensor) -> Tensor:
    distances, _ = _lengths(_products(samples))
    count = distances.shape[0]
    mean = distances.sum() / max(count * (count - 1), 1)
    return distances / torch.where(mean <= 1e-8, 1, mean)


def _angles(samples: Tensor) -> Tensor:
    products = _products(samples)
    lengths, coincide = _lengths(products)
    inverse = torch.where(coincide, 0, 1 / torch.where(coincide, 1, lengths))
    # <x_i - x_j, x_k - x_j> at [j, i, k].
    corners = products - products[:, :, None] - products[:, None, :] + products.diagonal()[:, None, None]
    return corners * inverse[:, :, None] * inverse[:, None, :]


def _products(samples: Tensor) -> Tensor:
    """Return the dot products of every two samples, seen from their mean, [B, B].

    Distances and angles follow from these, without the B * B * C differences of every two samples.
    """
    vectors = widen(samples).flatten(1)
    centred = vectors - vectors.mean(0)
    # Autocast would run the product in half precision, whatever it is given.
    with torch.autocast(centred.device.type, enabled=False):
        return centred @ centred.T


def _lengths(products: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance of every two samples, and where it is no more than rounding, so 0 without gradient."""
    squares = products.diagonal()
    squared = squares[:, None] + squares[None, :] - 2 * products
    coincide = squared <= 64 * torch.finfo(products.dtype).eps * squares.detach().amax()
    return torch.where(coincide, 0, torch.where(coincide, 1, squared).sqrt()), coincide
