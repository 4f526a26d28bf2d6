"""One Newton step on the logarithm of a map: from the highest cell to the top of the parabola around it."""

from typing import NamedTuple

import torch
from torch import Tensor

# In cells. What the values around a cell say of places further than this is a guess.
_FURTHEST = 2.0


class Derivatives(NamedTuple):
    """First and second derivatives [...] at the middle of a patch, a heatmap's pixel being the unit."""

    x: Tensor
    y: Tensor
    xx: Tensor
    yy: Tensor
    xy: Tensor


def wide_derivatives(values: Tensor) -> Derivatives:
    """Those of ``values`` [..., 5, 5] as DARK's reference implementation takes them: central differences of
    central differences, so that the second derivatives look two cells far."""
    x, y = values[..., 2, :], values[..., :, 2]
    rising = values[..., 3, 3] + values[..., 1, 1]
    falling = values[..., 1, 3] + values[..., 3, 1]
    return Derivatives(
        x=0.5 * (x[..., 3] - x[..., 1]),
        y=0.5 * (y[..., 3] - y[..., 1]),
        xx=0.25 * (x[..., 4] - 2 * x[..., 2] + x[..., 0]),
        yy=0.25 * (y[..., 4] - 2 * y[..., 2] + y[..., 0]),
        xy=0.25 * (rising - falling),
    )


def near_derivatives(values: Tensor) -> Derivatives:
    """Those of ``values`` [..., 3, 3] as UDP's reference implementation takes them: no further than the next
    cell, the mixed one along the falling diagonal only."""
    x, y, middle = values[..., 1, :], values[..., :, 1], values[..., 1, 1]
    sides = x[..., 0] + x[..., 2] + y[..., 0] + y[..., 2]
    return Derivatives(
        x=0.5 * (x[..., 2] - x[..., 0]),
        y=0.5 * (y[..., 2] - y[..., 0]),
        xx=x[..., 2] - 2 * middle + x[..., 0],
        yy=y[..., 2] - 2 * middle + y[..., 0],
        xy=0.5 * (values[..., 2, 2] + values[..., 0, 0] + 2 * middle - sides),
    )


def newton_step(at: Derivatives) -> Tensor:
    """The step [..., 2] (x, y) to the top of the parabola with these derivatives.

    Where the parabola does not curve downwards in every direction there is no top and the step is 0; a step of
    more than 2 cells along an axis is cut back to 2. The reference implementations do neither, and jump.
    """
    determinant = at.xx * at.yy - at.xy**2
    # Below this the curvature is float32's rounding of the logarithms, not the map's.
    top = (determinant > 1e-9) & (at.xx < 0)
    safe = torch.where(top, determinant, 1.0)
    step = torch.stack([at.xy * at.y - at.yy * at.x, at.xy * at.x - at.xx * at.y], dim=-1) / safe[..., None]
    return torch.where(top[..., None], step, 0.0).clamp(-_FURTHEST, _FURTHEST)
