"""A picture to draw on, pixel for pixel."""

from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from kdkit.errors import ConfigurationError
from kdkit_pose.prediction.checks import Picture, picture_size
from kdkit_pose.report.canvas import rasterize

# A power of two, so that no whole number of pixels is lost in inches.
_DPI = 64
POINT = 72 / _DPI
"""Points of print in a pixel of the drawing."""
LONGEST_SIDE = 65_500
"""Pixels that a JPEG file may have a side."""
_LARGEST = 200_000_000
"""Pixels of a drawing; it takes some gigabytes to draw."""
_LEGIBLE = 1280
"""About the long side that a small picture's drawing has, in pixels."""


@dataclass(frozen=True, eq=False)
class PictureCanvas:
    """Axes over a picture, which count in its pixels, whole numbers at their centres.

    Attributes:
        axes: To draw on.
        size: The picture's width and height.
        enlarged: Pixels of the drawing in a pixel of the picture, a whole number.
    """

    axes: Axes
    size: tuple[int, int]
    enlarged: int
    _drawing: Drawing

    @classmethod
    def of(cls, picture: Picture, enlarged: int | None = None) -> "PictureCanvas":
        """A canvas with a copy of ``picture``, RGB uint8 [H, W, 3].

        Without ``enlarged``, pictures whose long side is well below 1280 pixels are enlarged to about that, for
        lines and labels to have room.

        Raises:
            ConfigurationError: ``enlarged`` is below 1, or the drawing would be too large.
        """
        width, height = picture_size(picture)
        if enlarged is None:
            enlarged = max(1, round(_LEGIBLE / max(width, height)))
        if enlarged < 1:
            raise ConfigurationError(f"a drawing is enlarged by 1 or more, found {enlarged}")
        size = (width * enlarged, height * enlarged)
        if enlarged > 1 and (size[0] * size[1] > _LARGEST or max(size) > LONGEST_SIDE):
            raise ConfigurationError(
                f"a picture of {width}x{height} pixels, enlarged {enlarged} times, makes a drawing too large for a"
                f" JPEG file or for memory (200 million pixels, {LONGEST_SIDE:,} a side): enlarge it less"
            )
        shown = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) if enlarged > 1 else picture
        drawing = Drawing(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI)
        drawing.figimage(np.ascontiguousarray(shown), zorder=-1)
        axes = drawing.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        axes.set_axis_off()
        return cls(axes, (width, height), enlarged, drawing)

    @property
    def long_side(self) -> int:
        """Of the drawing, in its own pixels."""
        return max(self.size) * self.enlarged

    def finish(self) -> Picture:
        """The drawing, RGB uint8, ``enlarged`` times the picture's size."""
        return rasterize(self._drawing)
