"""Connected components of binary maps."""

import cv2
import numpy as np
import torch
from torch import Tensor


def count_components(maps: Tensor) -> Tensor:
    """Return how many components each of the maps [..., h, w] has, int64 [...], on the CPU.

    Cells above 0 that touch, at corners too, are of one component.

    >>> count_components(torch.tensor([[[1, 0, 0, 1], [0, 1, 0, 1]], [[0, 0, 0, 0], [0, 0, 0, 0]]]))
    tensor([2, 0])
    """
    cells = (maps > 0).to(torch.uint8).cpu().numpy()
    flat = cells.reshape(-1, *cells.shape[-2:])
    # The background is one of them.
    counts = np.array([cv2.connectedComponents(one, connectivity=8)[0] - 1 for one in flat], dtype=np.int64)
    return torch.from_numpy(counts.reshape(cells.shape[:-2]))
