"""From the highest cell to the exact place: Newton steps on a smoothed map, up to its border."""

from collections.abc import Callable

import torch
from torch import Tensor

from kdkit_pose.codecs.newton import Derivatives, newton_step
from kdkit_pose.codecs.peak import neighbourhood
from kdkit_pose.codecs.smoothing import border_loss

BORDER_ROUNDS = 10
"""Newton steps. Near the border each leaves about 0.6 of the error; away from it the first is exact."""


def refine(
    smoothed: Tensor,
    cells: Tensor,
    *,
    kernel: int,
    sigma: float,
    reach: int,
    derivatives: Callable[[Tensor], Derivatives],
) -> Tensor:
    """The top of each smoothed peak, as one Newton step on the logarithm finds it.

    The reference implementations of DARK and UDP smooth over zeros at the border, which pulls peaks inwards by
    up to a heatmap's pixel. Here what the border cuts off is added again.

    Args:
        smoothed: [B, K, h + 2 reach, w + 2 reach], from :func:`kdkit_pose.codecs.smoothing.smooth`.
        cells: [B, K, 2] int64 (x, y) in the map [h, w]: where to start from.
        kernel: Width of the smoothing in cells.
        sigma: Standard deviation of the peaks before it, in cells; it matters at the border only.
        reach: Cells around the highest one that ``derivatives`` looks at.
        derivatives: Those of log values [..., 2 reach + 1, 2 reach + 1] at their middle.

    Returns:
        Points [B, K, 2] (x, y) in pixels of the heatmap, no further than two from ``cells`` along each axis.
    """
    height, width = smoothed.shape[-2] - 2 * reach, smoothed.shape[-1] - 2 * reach
    around = neighbourhood(smoothed, cells + reach, reach).clamp(min=1e-10).log()

    def steps(cells: Tensor, around: Tensor) -> Tensor:
        step = torch.zeros_like(cells, dtype=around.dtype)
        for _ in range(BORDER_ROUNDS):
            loss = border_loss(cells, step, (width, height), sigma, kernel, reach)
            step = newton_step(derivatives(around - loss))
        return step

    if cells.device.type != "cpu":  # to pick some of them would wait for the device
        return cells + steps(cells, around)
    step = newton_step(derivatives(around))
    margin = reach + kernel // 2
    near = ((cells < margin) | (cells >= cells.new_tensor([width, height]) - margin)).any(-1)
    step[near] = steps(cells[near], around[near])
    return cells + step
