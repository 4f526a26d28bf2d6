"""Pair-wise distillation (SKD): how alike a map's places are to each other."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdkit.errors import BatchError
from kdkit.losses.numerics import require_above_zero, unit, widen
from kdkit.losses.shapes import require_same_positions


def pairwise_similarity(prediction: Tensor, target: Tensor, *, patch: int = 1, max_nodes: int = 4096) -> Tensor:
    """Return the squared difference between the student's and the teacher's similarities of every two nodes.

    A node is a position, or the mean of a patch of positions; the similarity of two nodes is the cosine of the
    angle between their channel vectors. The mean of the map is the paper's loss. Two differences from the
    authors' code: it pools by the maximum where the paper and this function take the mean, and it holds the
    vectors' lengths constant in the gradient where here the gradient is the equation's.

    Args:
        prediction: [B, C, h, w] or [B, C, N].
        target: of the same samples and positions; its channels may differ.
        patch: side of the square patches that make a node; at the right and lower edge a patch may be smaller.
            Only for [B, C, h, w].
        max_nodes: more nodes than this are refused, for memory grows with their square.

    Returns:
        [B, N, N] with N nodes, row by row, in [0, 4], float32 at least.

    Raises:
        BatchError: if the positions differ, there are none, or there are too many.
        ConfigurationError: if the patch is not above 0.

    Source: Liu et al., Structured Knowledge Distillation for Dense Prediction (arXiv 1903.04197), pair-wise
    distillation.

    Example:
        >>> pairwise_similarity(torch.ones(2, 8, 6, 4), torch.ones(2, 16, 6, 4), patch=2).shape
        torch.Size([2, 6, 6])
    """
    require_same_positions(prediction, target, "pairwise_similarity")
    require_above_zero("pairwise_similarity: patch", patch)
    if patch > 1 and prediction.ndim != 4:
        raise BatchError(
            f"pairwise_similarity: patch={patch} needs maps [B, C, h, w], found {tuple(prediction.shape)}: "
            f"set patch=1, or hand in maps"
        )
    _require_few_nodes(prediction, patch, max_nodes)
    return (_similarities(prediction, patch) - _similarities(target, patch)).square()


def _similarities(features: Tensor, patch: int) -> Tensor:
    nodes = widen(features)
    if patch > 1:
        nodes = F.avg_pool2d(nodes, patch, ceil_mode=True)
    nodes = unit(nodes.flatten(2), 1)
    # Autocast would run the product in half precision, whatever it is given.
    with torch.autocast(nodes.device.type, enabled=False):
        return nodes.transpose(1, 2) @ nodes


def _require_few_nodes(maps: Tensor, patch: int, max_nodes: int) -> None:
    def count(side: int) -> int:
        nodes = 1
        for size in maps.shape[2:]:
            nodes *= -(-size // side)  # rounded up
        return nodes

    if (nodes := count(patch)) <= max_nodes:
        return
    remedy = "hand in smaller maps"
    if maps.ndim == 4:
        enough = next(side for side in range(patch + 1, max(maps.shape[2:]) + 1) if count(side) <= max_nodes)
        remedy = f"pool them with partial(losses.pairwise_similarity, patch={enough})"
    raise BatchError(
        f"pairwise_similarity: maps of shape {tuple(maps.shape)} make {nodes} nodes, so {nodes} x {nodes} "
        f"similarities a sample, and max_nodes is {max_nodes}: {remedy}"
    )
