"""Draws a whole figure, part by part from the farthest to the nearest."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from kdkit_pose.synthetic.canvas import Array, Canvas
from kdkit_pose.synthetic.figure import Figure, Part
from kdkit_pose.synthetic.head import HeadPainter
from kdkit_pose.synthetic.kinematics import Point
from kdkit_pose.synthetic.limbs import Stroke, limb_strokes, paint_strokes
from kdkit_pose.synthetic.torso import paint_torso

_TORSO, _HEAD = -1, -2  # beside the numbers of the limbs
_STRAIGHT = 0.1  # body heights of depth within which a whole limb is painted at one depth


def paint_figure(canvas: Canvas, figure: Figure, label: int, light: Array) -> None:
    """Paint a person.

    Args:
        canvas: painted on.
        figure: the person.
        label: of the person's first part; each part is painted with this plus its number.
        light: [2], the unit vector in the picture towards the light.

    """
    depth = figure.posed.points[:, 2]
    strokes = _flattened(limb_strokes(figure))
    torso_depth = float(depth[[5, 6, 11, 12]].mean())
    head_depth = max(float(depth[Point.HEAD]), torso_depth) + 0.02
    layers = [(stroke.depth, stroke.limb, number) for number, stroke in enumerate(strokes)]
    layers += [(torso_depth, _TORSO, 0), (head_depth, _HEAD, 0)]
    for limb, run in groupby(sorted(layers), key=lambda layer: layer[1]):
        if limb == _TORSO:
            paint_torso(canvas, figure, label + Part.TORSO, light)
        elif limb == _HEAD:
            HeadPainter(canvas, figure, label + Part.HEAD).paint()
        else:
            paint_strokes(canvas, figure, [strokes[number] for *_, number in run], label, light)


def _flattened(strokes: Iterable[Stroke]) -> list[Stroke]:
    """The strokes limb by limb, those of a limb that is hardly foreshortened brought to one depth.

    Two legs side by side would else interleave, and the knees show as seams.
    """
    result: list[Stroke] = []
    for _, run in groupby(strokes, key=lambda stroke: stroke.limb):
        limb = list(run)
        depths = [stroke.depth for stroke in limb]
        if max(depths) - min(depths) < _STRAIGHT:
            limb = [replace(stroke, depth=sum(depths) / len(depths)) for stroke in limb]
        result.extend(limb)
    return result
