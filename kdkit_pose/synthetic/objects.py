"""Things that are not people: clutter behind them, look-alikes among it, and what stands in front of them."""

from collections.abc import Callable
from typing import Final

import numpy as np

from kdkit_pose.synthetic.appearance import cloth_colour, sample_appearance
from kdkit_pose.synthetic.canvas import (
    BACKGROUND,
    OBJECT,
    Array,
    Canvas,
    Colour,
    capsules,
    ellipse,
    hull_of_discs,
    shaded,
)

# Draws a thing whose foot is at (x, y) and which is about `size` pixels tall.
ThingPainter = Callable[[np.random.Generator, Canvas, float, float, float, int], None]


def paint_clutter(rng: np.random.Generator, canvas: Canvas, count: int) -> None:
    """Paint things behind all people, labelled as background."""
    for _ in range(count):
        painter = _CLUTTER[rng.integers(len(_CLUTTER))]
        x, y = rng.uniform(0.0, canvas.width), rng.uniform(0.45, 1.0) * canvas.height
        painter(rng, canvas, x, y, rng.uniform(0.2, 0.75) * canvas.height, BACKGROUND)


def paint_occluder(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float) -> None:
    """Paint a thing before the people painted so far; it hides what it covers.

    Args:
        rng: source of randomness.
        canvas: painted on.
        x: middle of the thing's foot, pixels.
        y: height of its foot, pixels.
        size: its rough height, pixels.

    """
    painter = _OCCLUDERS[rng.integers(len(_OCCLUDERS))]
    painter(rng, canvas, x, y, size, OBJECT)


def paint_seat(rng: np.random.Generator, canvas: Canvas, hips: Array, tall: float) -> None:
    """Paint a stool or chair beneath a person who is about to be painted.

    Args:
        rng: source of randomness.
        canvas: painted on.
        hips: [2], the middle between the hips, pixels.
        tall: the person's height upright, pixels.

    """
    colour, half = cloth_colour(rng), rng.uniform(0.09, 0.16) * tall
    x, top = hips[0], hips[1] + 0.035 * tall
    if rng.random() < 0.5:
        back = rng.uniform(0.2, 0.4) * tall
        canvas.convex(_quad(x - half, top - back, x + half, top), shaded(colour, 0.8), OBJECT)
    if rng.random() < 0.5:
        canvas.convex(_quad(x - half, top, x + half, top + 0.22 * tall), shaded(colour, 0.62), OBJECT)
    for leg in (-0.9, 0.8):
        left = x + leg * half
        canvas.convex(_quad(left, top, left + 0.02 * tall, top + 0.26 * tall), shaded(colour, 0.7), OBJECT)
    canvas.convex(_quad(x - half, top, x + half, top + 0.04 * tall), colour, OBJECT)


def _box(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A crate, cupboard or window: a front, a lit top and a panel."""
    half, colour = rng.uniform(0.15, 0.5) * size, cloth_colour(rng)
    depth = rng.uniform(0.0, 0.12) * size
    top = y - rng.uniform(0.35, 0.9) * size
    canvas.convex(_quad(x - half, top, x + half, y), shaded(colour, 0.9), label)
    if depth > 2.0:
        lid = np.array(
            [[x - half, top], [x - 0.7 * half, top - depth], [x + 0.7 * half, top - depth], [x + half, top]]
        )
        canvas.convex(lid, shaded(colour, 1.12), label)
    inset = rng.uniform(0.1, 0.3) * half
    canvas.convex(_quad(x - half + inset, top + inset, x + half - inset, y - inset), colour, label)


def _table(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A board on legs."""
    half, colour = rng.uniform(0.3, 0.7) * size, cloth_colour(rng)
    top, thick = y - rng.uniform(0.35, 0.55) * size, max(0.05 * size, 1.5)
    for leg in (-0.9, 0.9):
        canvas.convex(
            _quad(x + leg * half - thick / 2, top, x + leg * half + thick / 2, y), shaded(colour, 0.7), label
        )
    canvas.convex(_quad(x - half, top - thick, x + half, top + thick), colour, label)


def _pole(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A post through the whole height of the picture, or up to its own."""
    half, colour = rng.uniform(0.015, 0.05) * size, cloth_colour(rng)
    top = -5.0 if rng.random() < 0.6 else y - size
    canvas.convex(_quad(x - half, top, x + half, y), shaded(colour, 0.75), label)
    canvas.convex(_quad(x - 0.6 * half, top, x + 0.3 * half, y), colour, label)


def _foliage(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A shrub: leaves about a stem."""
    green = np.array([rng.uniform(20, 110), rng.uniform(70, 160), rng.uniform(15, 70)])
    centres = rng.normal((x, y - 0.3 * size), (0.16 * size, 0.13 * size), (22, 2))
    for centre, gain in zip(centres, rng.uniform(0.6, 1.25, 22), strict=True):
        axes = np.diag(rng.uniform(0.03, 0.085, 2) * size)
        red, leaf, blue = np.clip(green * gain, 0, 255).tolist()
        canvas.convex(ellipse(centre, axes), (red, leaf, blue), label)


def _tree(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A trunk with limbs and a crown."""
    bark = _bark(rng)
    fork = y - 0.45 * size
    _stroke(canvas, (x, y), (x, fork), 0.045 * size, bark, label)
    for _ in range(3):
        tip = (x + rng.uniform(-0.3, 0.3) * size, fork - rng.uniform(0.1, 0.35) * size)
        _stroke(canvas, (x, fork), tip, 0.022 * size, bark, label)
    _foliage(rng, canvas, x, fork - 0.05 * size, 0.9 * size, label)


def _mannequin(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A tailor's dummy: a clothed trunk on a stand, with neither head nor limbs."""
    shirt, width = cloth_colour(rng), 0.11 * size
    _stroke(canvas, (x, y), (x, y - 0.5 * size), 0.012 * size, (70.0, 60.0, 55.0), label)
    _stroke(canvas, (x - width, y), (x + width, y), 0.01 * size, (70.0, 60.0, 55.0), label)
    discs = np.array(
        [
            [x - width, y - 0.8 * size],
            [x + width, y - 0.8 * size],
            [x - 0.6 * width, y - 0.5 * size],
            [x + 0.6 * width, y - 0.5 * size],
        ]
    )
    radii = np.array([0.045, 0.045, 0.05, 0.05]) * size
    canvas.convex(hull_of_discs(discs, radii), shaded(shirt, 0.75), label)
    canvas.convex(hull_of_discs(discs, 0.75 * radii), shirt, label)
    _stroke(canvas, (x, y - 0.82 * size), (x, y - 0.9 * size), 0.028 * size, sample_appearance(rng).skin, label)


def _coat_stand(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A post with hooks, coats and a hat."""
    wood = _bark(rng)
    _stroke(canvas, (x, y), (x, y - 0.95 * size), 0.014 * size, wood, label)
    for side in (-1, 1):
        hook = (x + side * 0.09 * size, y - 0.86 * size)
        _stroke(canvas, (x, y - 0.82 * size), hook, 0.01 * size, wood, label)
        if rng.random() < 0.7:
            _stroke(
                canvas,
                hook,
                (hook[0], y - rng.uniform(0.3, 0.6) * size),
                0.05 * size,
                cloth_colour(rng),
                label,
            )
    canvas.convex(
        ellipse(np.array([x, y - 0.95 * size]), np.diag([0.06 * size, 0.03 * size])), cloth_colour(rng), label
    )


def _loose_limbs(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """Sticks as thick and coloured as arms and legs."""
    for _ in range(int(rng.integers(1, 4))):
        colour = sample_appearance(rng).skin if rng.random() < 0.5 else cloth_colour(rng)
        start = np.array([x, y - 0.3 * size]) + rng.normal(0.0, 0.15 * size, 2)
        middle = start + rng.normal(0.0, 0.18 * size, 2)
        _stroke(canvas, start, middle, 0.035 * size, colour, label)
        _stroke(canvas, middle, middle + rng.normal(0.0, 0.15 * size, 2), 0.028 * size, colour, label)


def _blob(rng: np.random.Generator, canvas: Canvas, x: float, y: float, size: float, label: int) -> None:
    """A ball, balloon or cushion of the colour of skin or clothes."""
    colour = sample_appearance(rng).skin if rng.random() < 0.5 else cloth_colour(rng)
    centre, axes = np.array([x, y - 0.3 * size]), np.diag(rng.uniform(0.05, 0.16, 2) * size)
    canvas.convex(ellipse(centre, axes), shaded(colour, 0.75), label)
    canvas.convex(ellipse(centre - 0.15 * axes.sum(axis=0), 0.78 * axes), colour, label)


_CLUTTER: Final[tuple[ThingPainter, ...]] = (
    _box, _box, _box, _table, _pole, _foliage, _tree, _mannequin, _coat_stand, _loose_limbs, _blob, _blob
)  # fmt: skip
_OCCLUDERS: Final[tuple[ThingPainter, ...]] = (_box, _box, _table, _pole, _foliage, _foliage, _tree, _blob)


def _bark(rng: np.random.Generator) -> Colour:
    shade = rng.uniform(0.5, 1.4)
    return (92 * shade, 68 * shade, 48 * shade)


def _quad(left: float, top: float, right: float, bottom: float) -> Array:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _stroke(
    canvas: Canvas,
    start: Array | tuple[float, float],
    end: Array | tuple[float, float],
    radius: float,
    colour: Colour,
    label: int,
) -> None:
    ends, thick = np.array([[start], [end]], np.float64), np.array([radius])
    canvas.convex(capsules(ends[0], ends[1], thick, 0.85 * thick)[0], shaded(colour, 0.78), label)
    canvas.convex(capsules(ends[0], ends[1], 0.6 * thick, 0.5 * thick)[0], colour, label)
