"""The trunk: hips, skirt, shirt, and what tells its front from its back."""

import numpy as np

from kdkit_pose.synthetic.appearance import SKIRT_LENGTH, Pattern
from kdkit_pose.synthetic.canvas import Array, Canvas, Colour, hull_of_discs, shaded
from kdkit_pose.synthetic.figure import RIM_BRIGHTNESS, Figure
from kdkit_pose.synthetic.kinematics import Point

_SHOULDERS, _HIPS, _KNEES, _WAIST = [5, 6], [11, 12], [13, 14], [19, 20]


def paint_torso(canvas: Canvas, figure: Figure, label: int, light: Array) -> None:
    """Paint the trunk.

    Args:
        canvas: painted on.
        figure: whose trunk.
        label: of the trunk.
        light: [2], the unit vector in the picture towards the light.

    """
    look, points, pixels = figure.look, figure.posed.points, figure.pixels
    scale = figure.magnification(points) * figure.body.girth

    def fill(centres: Array, radii: Array, colour: Colour) -> Array:
        rim = hull_of_discs(centres, radii)
        canvas.convex(rim, shaded(colour, RIM_BRIGHTNESS), label)
        canvas.convex(hull_of_discs(centres + light * (0.2 * radii[:, None]), 0.78 * radii), colour, label)
        return rim

    hips = np.repeat([0.054, 0.056], 2) * scale[_WAIST + _HIPS]
    fill(pixels[_WAIST + _HIPS], hips, look.trousers)
    if look.skirt:
        _paint_skirt(canvas, figure, label)
    across = points[_SHOULDERS[::-1]] - points[_SHOULDERS]
    hem = 0.5 * (pixels[_WAIST] + pixels[_HIPS])
    discs = [figure.project(points[_SHOULDERS] + 0.27 * across), pixels[_SHOULDERS], pixels[_WAIST], hem]
    radii = np.repeat([0.055, 0.034, 0.059, 0.056], 2) * scale[_SHOULDERS + _SHOULDERS + _WAIST + _HIPS]
    rim = fill(np.concatenate(discs), radii, look.shirt)
    paint_pattern(canvas, figure, rim, pixels[_WAIST].mean(axis=0) - pixels[Point.NECK], label)
    _paint_front(canvas, figure, label)
    _paint_backpack(canvas, figure, label)


def paint_pattern(canvas: Canvas, figure: Figure, outline: Array, axis: Array, label: int) -> None:
    """Put the shirt's pattern, if it has one, on what bears `label` within an outline.

    Args:
        canvas: painted on.
        figure: whose shirt.
        outline: [P, 2], pixels.
        axis: [2], along the trunk or the sleeve, pixels.
        label: of the trunk or the arm.

    """
    look = figure.look
    length = float(np.hypot(axis[0], axis[1]))
    if look.pattern is Pattern.PLAIN or length < 1.0:
        return
    along = axis / length
    if look.pattern is Pattern.STRIPES:
        along = np.array([-along[1], along[0]])
    checked = look.pattern is Pattern.CHECKS
    canvas.stripes(outline, along, max(0.05 * figure.height, 2.5), look.trim, label, checked)


def _paint_skirt(canvas: Canvas, figure: Figure, label: int) -> None:
    """A skirt spans hips and thighs."""
    pixels, scale = figure.pixels, figure.magnification(figure.posed.points) * figure.body.girth
    hem = pixels[_HIPS] + SKIRT_LENGTH * (pixels[_KNEES] - pixels[_HIPS])
    radii = np.repeat([0.054, 0.058], 2) * scale[_HIPS + _KNEES]
    outline = hull_of_discs(np.concatenate([pixels[_HIPS], hem]), radii)
    canvas.convex(outline, shaded(figure.look.trousers, 0.85), label)
    canvas.convex(hull_of_discs(np.concatenate([pixels[_HIPS], hem]), 0.7 * radii), figure.look.trousers, label)


def _paint_front(canvas: Canvas, figure: Figure, label: int) -> None:
    """A strip, as of buttons, down the front."""
    points, chest = figure.posed.points, figure.posed.chest
    if not figure.look.open_shirt or chest[2, 2] < 0.15:
        return
    neck = points[Point.NECK]
    along, wide = points[_WAIST].mean(axis=0) - neck, 0.013 * chest[:, 0]
    top, bottom = neck + 0.08 * along + 0.045 * chest[:, 2], neck + 1.1 * along + 0.045 * chest[:, 2]
    corners = np.stack([top - wide, top + wide, bottom + wide, bottom - wide])
    canvas.convex(figure.project(corners), figure.look.trim, label)


def _paint_backpack(canvas: Canvas, figure: Figure, label: int) -> None:
    """A backpack, where the back is seen at least from the side."""
    points, chest, colour = figure.posed.points, figure.posed.chest, figure.look.backpack
    if colour is None or chest[2, 2] > 0.3:
        return
    neck = points[Point.NECK]
    along = points[_WAIST].mean(axis=0) - neck
    corners = [
        neck + share * along + side * chest[:, 0] - out * chest[:, 2]
        for share in (0.08, 0.95)
        for side in (-0.07, 0.07)
        for out in (0.04, 0.12)
    ]
    pixels, radii = figure.project(np.stack(corners)), np.full(8, 0.018 * figure.height)
    canvas.convex(hull_of_discs(pixels, radii), shaded(colour, RIM_BRIGHTNESS), label)
    canvas.convex(hull_of_discs(pixels, 0.5 * radii), colour, label)
