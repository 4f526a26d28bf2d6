"""Backdrops: rooms, landscapes and plain textures, before anything stands in them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from kdkit_pose.synthetic.appearance import cloth_colour


def sample_background(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """Draw a backdrop, [H, W, 3] uint8 RGB: wall or sky above, ground below, both mottled."""
    horizon = int(height * rng.uniform(0.3, 0.85))
    upper, lower = (_gradient(rng, width, rows) for rows in (horizon, height - horizon))
    picture = np.vstack([upper, lower]) if rng.random() < 0.8 else _gradient(rng, width, height)
    if rng.random() < 0.3:
        picture = _tiled(rng, picture)
    strength = rng.uniform(4.0, 34.0)
    return mottled(rng, picture, strength)


def mottled(rng: np.random.Generator, picture: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """Add smooth noise of several grain sizes, of at most `strength` grey levels up and down in all."""
    height, width = picture.shape[:2]
    grain = np.full((height, width, 3), 128, np.uint8)
    for cells, share in ((5, 0.9), (17, 0.6), (60, 0.5)):
        rows = max(2, cells * height // width)
        coarse = np.repeat(rng.integers(0, 256, (rows, cells, 1), np.uint8), 3, axis=2)
        fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        grain = cv2.addWeighted(grain, 1.0, fine, share, -127.5 * share)  # type: ignore[assignment]
    share = strength / 127.5
    return np.asarray(cv2.addWeighted(picture, 1.0, grain, share, -127.5 * share), np.uint8)


def _gradient(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """A colour that changes somewhat from corner to corner."""
    colour = np.asarray(cloth_colour(rng))
    colour = colour.mean() + rng.uniform(0.15, 0.75) * (colour - colour.mean())  # duller than clothes
    corners = colour + rng.normal(0.0, 22.0, (2, 2, 1)) + rng.normal(0.0, 9.0, (2, 2, 3))
    small = np.clip(corners, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, max(height, 1)), interpolation=cv2.INTER_LINEAR), np.uint8)


def _tiled(rng: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Darken bricks, boards or stripes of a wall."""
    height, width = picture.shape[:2]
    period_x, period_y = rng.uniform(0.04, 0.3, 2) * height
    columns = (np.arange(width) % period_x < 0.12 * period_x)[None]
    rows = (np.arange(height) % period_y < 0.12 * period_y)[:, None]
    kind = rng.integers(3)
    joints = columns | rows if kind == 0 else np.broadcast_to(columns if kind == 1 else rows, (height, width))
    shade = np.where(joints, rng.uniform(0.7, 0.95), 1.0).astype(np.float32)
    return np.asarray(cv2.multiply(picture, cv2.merge([shade] * 3), dtype=cv2.CV_8U), np.uint8)
