"""Who stands where: a few separate people, or a crowd whose members overlap."""

import math
from typing import Final

import numpy as np

from kdkit_pose.synthetic.appearance import sample_appearance, similar_appearance
from kdkit_pose.synthetic.figure import Figure
from kdkit_pose.synthetic.kinematics import posed_body, sample_body
from kdkit_pose.synthetic.pose import sample_pose

_MOST_OVERLAP: Final = 0.15  # of the smaller of two separate people's boxes
_TRIES: Final = 8
_SHARED_CLOTHES: Final = 0.6
_SHARED_POSE: Final = 0.35

Box = tuple[float, float, float, float]


def separate_people(rng: np.random.Generator, width: int, height: int) -> list[Figure]:
    """One to three people who hardly overlap, the farthest first."""
    pitch = _camera_pitch(rng)
    figures: list[Figure] = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.42, 0.36, 0.22]))):
        tall = height * rng.uniform(0.38, 1.12)
        for _ in range(_TRIES):
            figure = _within_picture(rng, _sample_figure(rng, tall, pitch, None), width, height)
            if all(_overlap(figure.box, other.box) < _MOST_OVERLAP for other in figures):
                figures.append(figure)
                break
            tall *= 0.88
    return sorted(figures, key=_nearness)


def crowd(rng: np.random.Generator, width: int, height: int) -> list[Figure]:
    """Two to six people of like size close together, often dressed alike, the farthest first."""
    pitch = _camera_pitch(rng)
    tall = height * rng.uniform(0.5, 1.1)
    figures = [_within_picture(rng, _sample_figure(rng, tall, pitch, None), width, height)]
    alike = rng.random() < _SHARED_CLOTHES
    for _ in range(int(rng.choice([1, 2, 3, 4, 5], p=[0.28, 0.30, 0.22, 0.12, 0.08]))):
        model = figures[rng.integers(len(figures))]
        figure = _sample_figure(rng, tall * rng.uniform(0.85, 1.16), pitch, model if alike else None)
        left, top, right, bottom = model.box
        aside = rng.choice((-1.0, 1.0)) * rng.uniform(0.05, 0.3) * tall
        x = float(np.clip((left + right) / 2 + aside, 0.08 * width, 0.92 * width))
        figures.append(figure.moved_to(x, (top + bottom) / 2 + rng.uniform(-0.08, 0.08) * tall))
    return sorted(figures, key=_nearness)


def _overlap(first: Box, second: Box) -> float:
    """Share of the smaller of two boxes (left, top, right, bottom) that the other covers."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return max(wide, 0.0) * max(high, 0.0) / smaller


def _sample_figure(rng: np.random.Generator, tall: float, pitch: float, model: Figure | None) -> Figure:
    """A person somewhere, `tall` pixels tall when upright; dressed like the model, if there is one."""
    body = sample_body(rng)
    pose = sample_pose(rng, model.family if model is not None and rng.random() < _SHARED_POSE else None)
    look = sample_appearance(rng) if model is None else similar_appearance(rng, model.look)
    posed = posed_body(body, pose, pitch)
    return Figure(body, posed, look, pose.family, (0.0, 0.0), tall, rng.uniform(3.5, 9.0))


def _within_picture(rng: np.random.Generator, figure: Figure, width: int, height: int) -> Figure:
    """Move a figure into the picture; the frame may cut it, feet more often than head."""
    _, top, _, bottom = figure.box
    x = rng.uniform(0.12, 0.88) * width
    tall = bottom - top
    highest, lowest = sorted((0.46 * tall, height - 0.42 * tall))
    if tall > height:
        lowest = highest + 0.12 * tall
    return figure.moved_to(x, rng.uniform(highest, lowest))


def _nearness(figure: Figure) -> float:
    """Larger for who stands nearer: lower feet in the picture."""
    return figure.box[3]


def _camera_pitch(rng: np.random.Generator) -> float:
    return math.radians(rng.uniform(-6.0, 22.0))
