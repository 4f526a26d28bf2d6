"""Light and camera: gain, colour cast, shadows, blur and sensor noise over a finished picture."""

import cv2
import numpy as np
from numpy.typing import NDArray


def lit(rng: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Light a picture [H, W, 3] and take it with a camera."""
    field = cv2.resize(_light_field(rng), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    result = cv2.multiply(picture, field, dtype=cv2.CV_8U)
    blur = rng.random()
    if blur < 0.35:
        sigma = 0.35 + 1.5 * blur
        result = cv2.GaussianBlur(result, (5, 5), sigma)
    return _noisy(rng, np.asarray(result, np.uint8))


def _light_field(rng: np.random.Generator) -> NDArray[np.float32]:
    """Gain on a coarse grid [24, 32, 3]: overall, cast, slope, and sometimes the edge of a shadow."""
    gain = rng.uniform(0.72, 1.25)
    cast = rng.normal(1.0, 0.05, 3)
    slope = rng.uniform(-0.28, 0.28, 2)
    y, x = np.mgrid[-1:1:24j, -1:1:32j]
    field = 1.0 + slope[0] * x + slope[1] * y
    if rng.random() < 0.3:
        angle, place = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5)
        across = x * np.cos(angle) + y * np.sin(angle) - place
        field *= 1.0 - rng.uniform(0.15, 0.5) / (1.0 + np.exp(-9.0 * across))
    return np.asarray(np.clip(gain * field[..., None] * cast, 0.42, 1.6), np.float32)


def _noisy(rng: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add noise of a triangular distribution: the mean of two uniform bytes, far cheaper than a normal."""
    strength = rng.uniform(0.01, 0.13)
    first, second = np.frombuffer(rng.bytes(2 * picture.size), np.uint8).reshape(2, *picture.shape)
    grain = cv2.addWeighted(first, 0.5, second, 0.5, 0.0)
    return np.asarray(cv2.addWeighted(picture, 1.0, grain, strength, -127.5 * strength), np.uint8)
