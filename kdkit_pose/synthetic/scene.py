"""Composes a whole picture: backdrop, clutter, people and what hides them, then light."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kdkit_pose.synthetic.background import sample_background
from kdkit_pose.synthetic.canvas import Array, Canvas, ellipse
from kdkit_pose.synthetic.figure import Figure, first_label
from kdkit_pose.synthetic.layout import crowd, separate_people
from kdkit_pose.synthetic.light import lit
from kdkit_pose.synthetic.objects import paint_clutter, paint_occluder, paint_seat
from kdkit_pose.synthetic.painter import paint_figure
from kdkit_pose.synthetic.visibility import annotate, keypoint_visibility, person_masks

_OCCLUDED: Final = 0.22  # share of people with a thing before them
_SEATED: Final = 0.75  # share of sitting people with something beneath them


def render_scene(
    rng: np.random.Generator, width: int, height: int, crowded: bool
) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """Draw a picture of people.

    Args:
        rng: the only source of randomness.
        width: of the picture, pixels.
        height: of the picture, pixels.
        crowded: whether people overlap closely.

    Returns:
        The picture, [H, W, 3] uint8 RGB, and a COCO entry without ids for each person seen in it.

    """
    figures = crowd(rng, width, height) if crowded else separate_people(rng, width, height)
    canvas = Canvas(sample_background(rng, width, height))
    paint_clutter(rng, canvas, int(rng.integers(1, 8)))
    angle = rng.uniform(0.15, 0.85) * np.pi  # light comes from above
    light = np.array([np.cos(angle), -np.sin(angle)])
    for figure in figures:
        _paint_shadow(canvas, figure)
    for person, figure in enumerate(figures):
        if figure.family == "sitting" and rng.random() < _SEATED:
            paint_seat(rng, canvas, figure.pixels[[11, 12]].mean(axis=0), figure.height)
        paint_figure(canvas, figure, first_label(person), light)
        if rng.random() < _OCCLUDED:
            _hide_partly(rng, canvas, figure)
    labels = canvas.labels()
    annotations = []
    for person, (figure, mask) in enumerate(zip(figures, person_masks(labels, len(figures)), strict=True)):
        entry = annotate(figure, keypoint_visibility(labels, figure, person), mask)
        if entry is not None:
            annotations.append(entry)
    return lit(rng, canvas.picture()), annotations


def _paint_shadow(canvas: Canvas, figure: Figure) -> None:
    """A dark patch on the ground beneath the lowest point."""
    left, _, right, bottom = figure.box
    centre: Array = np.array([(left + right) / 2, bottom - 0.03 * figure.height])
    axes = np.diag([0.4 * (right - left), 0.035 * figure.height])
    canvas.darken(ellipse(centre, axes), 0.66)


def _hide_partly(rng: np.random.Generator, canvas: Canvas, figure: Figure) -> None:
    """Put a thing before a figure, as a rule before its legs or a side."""
    left, _, right, bottom = figure.box
    x = rng.uniform(left, right)
    y = bottom + rng.uniform(-0.15, 0.12) * figure.height
    paint_occluder(rng, canvas, x, y, rng.uniform(0.3, 0.6) * figure.height)
