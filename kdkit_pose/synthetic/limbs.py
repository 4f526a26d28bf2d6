"""Arms and legs as tapered strokes, bare or clothed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kdkit_pose.synthetic.canvas import Array, Canvas, Colour, capsules, shaded
from kdkit_pose.synthetic.figure import RIM_BRIGHTNESS, Figure, Part
from kdkit_pose.synthetic.kinematics import Point
from kdkit_pose.synthetic.torso import paint_pattern

_BESIDE_TORSO: Final = 0.035  # arms pass in front of the torso unless they are this far behind it, body heights
_BELOW_TORSO: Final = -0.06  # the shirt hangs over the legs unless they reach this far forward
_CLOTH: Final = 1.13  # cloth is wider than the limb it covers


@dataclass(frozen=True)
class _Segment:
    """A tapered piece of the left side; the right side's rows follow its."""

    start: Point
    end: Point
    radii: tuple[float, float]  # body heights
    part: Part
    order: float  # how many joints lie between it and the trunk


_ARM: Final = (
    _Segment(Point.LEFT_SHOULDER, Point.LEFT_ELBOW, (0.033, 0.026), Part.LEFT_UPPER_ARM, 0.0),
    _Segment(Point.LEFT_ELBOW, Point.LEFT_WRIST, (0.026, 0.018), Part.LEFT_FOREARM, 1.0),
    _Segment(Point.LEFT_WRIST, Point.LEFT_HAND, (0.020, 0.017), Part.LEFT_FOREARM, 2.0),
)
_LEG: Final = (
    _Segment(Point.LEFT_HIP, Point.LEFT_KNEE, (0.052, 0.037), Part.LEFT_THIGH, 0.0),
    _Segment(Point.LEFT_KNEE, Point.LEFT_ANKLE, (0.037, 0.023), Part.LEFT_SHIN, 1.0),
    _Segment(Point.LEFT_ANKLE, Point.LEFT_TOE, (0.025, 0.020), Part.LEFT_SHIN, 2.0),
)


@dataclass(frozen=True)
class Stroke:
    """One stroke, in pixels.

    Attributes:
        depth: nearness to the viewer, in body heights.
        limb: number of the arm or leg it belongs to.
        part: whose label it bears.
        start: [2].
        end: [2].
        radii: at the ends.
        colour: of its lit middle.
        cloth: whether it is cloth rather than skin or shoe.
        patterned: whether it bears the shirt's pattern.

    """

    depth: float
    limb: int
    part: Part
    start: Array
    end: Array
    radii: tuple[float, float]
    colour: Colour
    cloth: bool
    patterned: bool


def limb_strokes(figure: Figure) -> Iterator[Stroke]:
    """All strokes of a figure's arms and legs."""
    look = figure.look
    for side in (0, 1):
        yield from _limb(figure, side, _ARM, (look.sleeve, look.shirt))
        yield from _limb(figure, side, _LEG, (look.leg_cover, look.trousers))


def _limb(
    figure: Figure, side: int, segments: tuple[_Segment, ...], garment: tuple[float, Colour]
) -> Iterator[Stroke]:
    """One limb; its garment reaches `garment[0]` joints down from the trunk."""
    points, pixels, arm = figure.posed.points, figure.pixels, segments is _ARM
    girth = figure.magnification(points) * figure.body.girth
    limb = side if arm else 2 + side
    for segment in segments:
        start, end = segment.start + side, segment.end + side
        near, far = float(points[start, 2]), float(points[end, 2])
        # A nearer end weighs more: a forearm held before the chest lies in front of it.
        depth = 0.5 * (near + far) + 0.2 * max(far - near, 0.0) + (_BESIDE_TORSO if arm else _BELOW_TORSO)
        part = Part(segment.part + side)
        wide, narrow = segment.radii[0] * girth[start], segment.radii[1] * girth[end]
        share = float(np.clip(garment[0] - segment.order, 0.0, 1.0))
        hem = pixels[start] + share * (pixels[end] - pixels[start])
        middle = wide + share * (narrow - wide)
        if share < 0.98:
            skin = figure.look.skin if segment.end != Point.LEFT_TOE else figure.look.shoes
            yield Stroke(depth, limb, part, hem, pixels[end], (middle, narrow), skin, False, False)
        if share > 0.05:
            radii = (_CLOTH * wide, _CLOTH * middle)
            yield Stroke(depth, limb, part, pixels[start], hem, radii, garment[1], True, arm)


def paint_strokes(canvas: Canvas, figure: Figure, strokes: Sequence[Stroke], label: int, light: Array) -> None:
    """Paint strokes of one limb as one: all dark rims first, so that no rim crosses a joint."""
    start, end = np.array([s.start for s in strokes]), np.array([s.end for s in strokes])
    radii = np.array([s.radii for s in strokes])
    shift = light * (0.22 * radii[:, :1])
    rims = capsules(start, end, radii[:, 0], radii[:, 1])
    cores = capsules(start + shift, end + shift, 0.72 * radii[:, 0], 0.72 * radii[:, 1])
    for stroke, rim in zip(strokes, rims, strict=True):
        canvas.convex(rim, shaded(stroke.colour, RIM_BRIGHTNESS), label + stroke.part)
    for cloth in (False, True):
        for stroke, core in zip(strokes, cores, strict=True):
            if stroke.cloth is cloth:
                canvas.convex(core, stroke.colour, label + stroke.part)
    for stroke, rim in zip(strokes, rims, strict=True):
        if stroke.patterned:
            paint_pattern(canvas, figure, rim, stroke.end - stroke.start, label + stroke.part)
