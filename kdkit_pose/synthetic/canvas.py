"""A picture being painted: colour and, in a fourth channel, the label of what was painted last.

Painting both at once keeps colour, mask and occlusion in agreement without a second pass.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Array = NDArray[np.float64]

OVERSAMPLING = 2
BACKGROUND = 0
OBJECT = 255  # the label of a thing that is not a person
_SUBPIXEL_BITS = 4
_ARC = np.linspace(-1.0, 1.0, 9)
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 17)[:-1]) for f in (np.cos, np.sin)], axis=1)


class Canvas:
    """Paints polygons without anti-aliasing at twice the picture's size; halving the size smooths edges.

    Coordinates are pixels of the picture, whole numbers at pixel centres.

    Args:
        background: [H, W, 3] uint8 RGB.

    """

    def __init__(self, background: NDArray[np.uint8]) -> None:
        self.height, self.width = background.shape[:2]
        size = (OVERSAMPLING * self.width, OVERSAMPLING * self.height)
        large = cv2.resize(background, size, interpolation=cv2.INTER_LINEAR)
        self._pixels = cv2.cvtColor(large, cv2.COLOR_RGB2RGBA)
        self._pixels[..., 3] = BACKGROUND

    def convex(self, outline: Array, colour: Colour, label: int = BACKGROUND) -> None:
        """Fill a convex outline [P, 2]."""
        cv2.fillConvexPoly(self._pixels, _fixed(outline), (*colour, label), shift=_SUBPIXEL_BITS)

    def polygon(self, outline: Array, colour: Colour, label: int = BACKGROUND) -> None:
        """Fill any outline [P, 2]."""
        cv2.fillPoly(self._pixels, [_fixed(outline)], (*colour, label), shift=_SUBPIXEL_BITS)

    def darken(self, outline: Array, gain: float) -> None:
        """Multiply the colours within a convex outline [P, 2] by `gain`; labels stay."""
        fixed = _fixed(outline)
        left, top, wide, high = cv2.boundingRect(fixed >> _SUBPIXEL_BITS)
        left, top, right, bottom = max(left, 0), max(top, 0), max(left + wide, 0), max(top + high, 0)
        region = self._pixels[top:bottom, left:right, :3]
        if region.size == 0:
            return
        inside = np.zeros(region.shape[:2], np.uint8)
        cv2.fillConvexPoly(inside, fixed - np.array([left, top]) * (1 << _SUBPIXEL_BITS), 1, shift=_SUBPIXEL_BITS)
        region[inside > 0] = (region[inside > 0] * gain).astype(np.uint8)

    def stripes(
        self, outline: Array, along: Array, period: float, colour: Colour, label: int, checked: bool
    ) -> None:
        """Stripe what bears `label` within an outline's box.

        Args:
            outline: [P, 2].
            along: [2], unit vector across the stripes.
            period: pixels from stripe to stripe.
            colour: of the stripes.
            label: painted only where the canvas bears it.
            checked: stripes both ways.

        """
        corner = np.maximum(np.floor(outline.min(axis=0) * OVERSAMPLING), 0).astype(int)
        end = np.ceil(outline.max(axis=0) * OVERSAMPLING).astype(int) + 1
        region = self._pixels[corner[1] : max(end[1], 0), corner[0] : max(end[0], 0)]
        if region.size == 0:
            return
        y = np.arange(region.shape[0], dtype=np.float32)[:, None] / OVERSAMPLING
        x = np.arange(region.shape[1], dtype=np.float32)[None] / OVERSAMPLING
        here = (x * along[0] + y * along[1]) % period < 0.4 * period
        if checked:
            here ^= (y * along[0] - x * along[1]) % period < 0.4 * period
        here &= region[..., 3] == label
        region[here] = np.array((*colour, label)).astype(np.uint8)

    def picture(self) -> NDArray[np.uint8]:
        """[H, W, 3] uint8 RGB."""
        rgb = cv2.cvtColor(self._pixels, cv2.COLOR_RGBA2RGB)
        return np.asarray(cv2.resize(rgb, (self.width, self.height), interpolation=cv2.INTER_AREA), np.uint8)

    def labels(self) -> NDArray[np.uint8]:
        """[2H, 2W] uint8: the label painted last at each sub-pixel."""
        return np.asarray(cv2.extractChannel(self._pixels, 3), np.uint8)


def capsules(start: Array, end: Array, start_radius: Array, end_radius: Array) -> Array:
    """Convex outlines of tapered limbs with round ends.

    Args:
        start: [N, 2], centre of one end.
        end: [N, 2], centre of the other.
        start_radius: [N].
        end_radius: [N].

    Returns:
        [N, 18, 2].

    """
    axis = end - start
    length = np.maximum(np.hypot(axis[:, 0], axis[:, 1]), np.abs(start_radius - end_radius) + 1e-3)
    heading = np.arctan2(axis[:, 1], axis[:, 0])[:, None]
    # The common tangents touch both circles at this angle from the axis.
    touch = np.arccos((start_radius - end_radius) / length)[:, None]
    front = heading + touch * _ARC
    back = heading + np.pi + (np.pi - touch) * _ARC
    arcs = [
        centre[:, None] + radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=2)
        for centre, radius, angle in ((end, end_radius, front), (start, start_radius, back))
    ]
    return np.concatenate(arcs, axis=1)


def hull_of_discs(centres: Array, radii: Array) -> Array:
    """Convex outline [P, 2] around discs with centres [N, 2] and radii [N]."""
    points = centres[:, None] + radii[:, None, None] * _CIRCLE
    return np.asarray(cv2.convexHull(points.reshape(-1, 2).astype(np.float32))[:, 0], np.float64)


def ellipse(centre: Array, axes: Array) -> Array:
    """Outline [16, 2] of an ellipse; the columns of `axes` [2, 2] are its half axes."""
    return np.asarray(centre + _CIRCLE @ axes.T, np.float64)


def shaded(colour: Colour, gain: float) -> Colour:
    """A colour made darker (gain < 1) or lighter (gain > 1), kept within 0..255."""
    return (min(colour[0] * gain, 255.0), min(colour[1] * gain, 255.0), min(colour[2] * gain, 255.0))


def _fixed(outline: Array) -> NDArray[np.int32]:
    """Fixed-point canvas coordinates of picture coordinates."""
    large = (outline + 0.5) * OVERSAMPLING - 0.5
    return np.rint(large * (1 << _SUBPIXEL_BITS)).astype(np.int32)
