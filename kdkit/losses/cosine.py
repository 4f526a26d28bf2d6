"""The cosine distance."""

import torch.nn.functional as F
from torch import Tensor

from kdkit.losses.shapes import require_same_shape


def cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 - cos of the angle between the channel vectors at each position.

    Args:
        prediction: [B, C] or [B, C, ...].
        target: the same shape.

    Returns:
        [B, 1] or [B, 1, ...], in [0, 2].
    """
    require_same_shape(prediction, target)
    return 1 - F.cosine_similarity(prediction, target, dim=1).unsqueeze(1)
