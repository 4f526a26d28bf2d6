"""Matplotlib figures as arrays, without pyplot and its global state."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

INK = "#2b2f36"
"""The colour of text and axes."""

_PANEL_WIDTH = 1.7  # inches
_GAP = 0.04
_LINE_HEIGHT = 0.19


def rasterize(drawing: Drawing) -> NDArray[np.uint8]:
    """Draw a matplotlib figure: RGB uint8 [H, W, 3]."""
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return rgba[:, :, :3].copy()


def panels(headers: list[str], rows: int, aspect: float) -> tuple[Drawing, list[list[Axes]]]:
    """A grid of empty panels for crops, headers above its columns.

    Args:
        headers: One for each column; long ones are wrapped.
        rows: How many.
        aspect: A panel's width / height.

    Returns:
        The figure and its axes, [row][column].
    """
    wrapped = [fill(header, 24) for header in headers]
    header_height = _LINE_HEIGHT * (1 + max(header.count("\n") for header in wrapped)) + 0.08
    panel_height = _PANEL_WIDTH / aspect
    width = len(headers) * (_PANEL_WIDTH + _GAP) - _GAP
    height = header_height + rows * (panel_height + _GAP) - _GAP
    drawing = Drawing(figsize=(width, height), dpi=160, facecolor="white")
    # All sizes are in inches, so that columns and rows lie equally close whatever their number.
    grid = [
        [
            drawing.add_axes(
                (
                    column * (_PANEL_WIDTH + _GAP) / width,
                    (rows - 1 - row) * (panel_height + _GAP) / height,
                    _PANEL_WIDTH / width,
                    panel_height / height,
                )
            )
            for column in range(len(headers))
        ]
        for row in range(rows)
    ]
    for axes, header in zip(grid[0], wrapped, strict=True):
        axes.set_title(header, fontsize=9.5, color=INK, pad=5, parse_math=False)
    return drawing, grid


def show_crop(axes: Axes, image: NDArray[np.uint8]) -> None:
    """Fill a panel with an image [H, W, 3]; its axes then count in the image's pixels, whole at their centres."""
    height, width, _ = image.shape
    axes.imshow(image, interpolation="lanczos", aspect="auto")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()
