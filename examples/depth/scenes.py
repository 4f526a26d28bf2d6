"""Generated scenes: balls and boxes on the ground before a wall; their depth, exact and as a sensor gives it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch.utils.data import Dataset

from kdkit.sampling import sample_generator

HEIGHT, WIDTH, FOCAL = 48, 64, 48.0  # pixels
Array = np.ndarray


@dataclass(frozen=True)
class Ball:
    """Like every shape, in metres: x to the right, y up, z away."""

    centre: Array
    radius: float

    def meet(self, origin: Array, ray: Array) -> tuple[Array, Array]:
        """Return the first t > 0 with origin + t * ray on the shape, inf for none, and the normals there."""
        offset, square = origin - self.centre, (ray**2).sum(-1)
        half = (offset * ray).sum(-1)
        root = np.sqrt(half**2 - square * ((offset**2).sum(-1) - self.radius**2))  # NaN: the ray passes by
        t = (-half - root) / square
        return np.where(t > 0, t, np.inf), (offset + t[:, None] * ray) / self.radius


@dataclass(frozen=True)
class Box:
    centre: Array
    half: Array
    yaw: float

    def meet(self, origin: Array, ray: Array) -> tuple[Array, Array]:
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        offset, along = (origin - self.centre) @ turn, ray @ turn
        sides = np.stack([(-self.half - offset) / along, (self.half - offset) / along])
        enter, leave = sides.min(0), sides.max(0).min(-1)
        t, normal = enter.max(-1), -np.sign(along) * np.eye(3)[enter.argmax(-1)]
        return np.where((t > 0) & (t < leave), t, np.inf), normal @ turn.T


def draw_shapes(rng: np.random.Generator) -> list[Ball | Box]:
    """Return the ground and the wall, two large boxes, and 3 to 7 balls and boxes that stand between."""
    wall, large = rng.uniform(9, 22), np.full(3, 100.0)
    shapes: list[Ball | Box] = [Box(np.array([0, -100, 0]), large, 0), Box(np.array([0, 0, wall + 100]), large, 0)]
    for _ in range(rng.integers(3, 8)):
        z, half = 2.5 + (wall - 4) * rng.random() ** 1.5, rng.uniform(0.25, [0.8, 1.1, 0.8])
        centre, yaw = np.array([z * rng.uniform(-0.6, 0.6), half[1], z]), rng.uniform(0, np.pi)
        shapes.append(Ball(centre, half[1]) if rng.random() < 0.5 else Box(centre, half, yaw))
    return shapes


@np.errstate(invalid="ignore", divide="ignore")
def render(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return a picture [3, H, W] in [0, 1] and its depth [H, W], in metres along the optical axis."""
    pitch, eye = rng.uniform(0.05, 0.25), np.array([0, rng.uniform(1.4, 1.8), 0])
    y, x = (grid.ravel() for grid in np.mgrid[:HEIGHT, :WIDTH])
    x, y = (x + 0.5 - WIDTH / 2) / FOCAL, (HEIGHT / 2 - y - 0.5) / FOCAL
    # Each ray goes one metre along the optical axis, so the t at which it meets a shape is the depth.
    rays = np.stack([x, y * np.cos(pitch) - np.sin(pitch), y * np.sin(pitch) + np.cos(pitch)], -1)
    shapes = draw_shapes(rng)
    met = [shape.meet(eye, rays) for shape in shapes]
    seen, pixels = np.argmin([t for t, _ in met], 0), np.arange(len(rays))
    depth, normal = (np.stack(part)[seen, pixels] for part in zip(*met, strict=True))
    points = eye + depth[:, None] * rays
    # The texture has its size in metres, and fades where it is finer than pixels.
    waves = rng.uniform(2, 9, (len(shapes), 3))[seen]
    fade = np.exp(-((waves * depth[:, None] / FOCAL / 1.5) ** 2))
    colour = rng.uniform(0.25, 0.9, (len(shapes), 3))[seen]
    colour = colour * (1 + 0.35 * (np.sin(points * waves) * fade).sum(-1, keepdims=True))
    sun = np.array([rng.uniform(-0.7, 0.7), 1, -rng.uniform(0.2, 0.8)])
    sun = np.broadcast_to(sun / np.linalg.norm(sun), rays.shape)
    shade = np.isfinite([shape.meet(points + 1e-3 * normal, sun)[0] for shape in shapes[2:]]).any(0)
    colour *= 0.35 + 0.65 * np.where(shade, 0, (normal * sun).sum(-1).clip(0))[:, None]
    clear = np.exp(-depth / rng.uniform(20, 40))[:, None]  # of haze
    picture = colour * clear + np.array([0.72, 0.78, 0.85]) * (1 - clear) + rng.normal(0, 0.02, colour.shape)
    return picture.clip(0, 1).T.reshape(3, HEIGHT, WIDTH), depth.reshape(HEIGHT, WIDTH)


def measure(depth: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return depth [H, W] as a stereo camera would measure it, and where that is valid.

    Noise grows with the square of the depth, and patches are missing, the more the farther. At depth's edges
    most is missing; what is not lies somewhere between near and far.
    """
    around = sliding_window_view(np.pad(depth, 1, mode="edge"), (3, 3))
    near, far = around.min((2, 3)), around.max((2, 3))
    edge = far > 1.15 * near
    measured = np.where(edge, near + rng.random(depth.shape) * (far - near), depth)
    measured = measured + rng.normal(0, 0.003, depth.shape) * depth**2
    patches = np.kron(rng.random((HEIGHT // 4, WIDTH // 4)), np.ones((4, 4)))
    missing = (patches < 0.1 + 0.8 * ((depth - 5) / 10).clip(0, 1)) | (edge & (rng.random(depth.shape) < 0.7))
    valid = ~missing & (measured > 0.1)
    return np.where(valid, measured, 1), valid


class Scenes(Dataset[dict[str, torch.Tensor]]):
    """Scenes in memory. A sample is read by (index, view), and is a function of seed, id and view alone:

    ``image`` [3, H, W] in [0, 1]; ``log_depth`` [1, H, W], the logarithm of the measured metres, and where it is
    ``valid`` [1, H, W]; ``depth`` [1, H, W], the exact metres, only to evaluate with; ``points`` [2, H, W], the
    logarithm of the exact depth at a pixel in 50, and where those are.
    """

    def __init__(self, ids: Sequence[int], *, seed: int, flip: bool = False) -> None:
        self.ids, self.seed, self.flip = ids, seed, flip
        self.samples = [self._make(sample_generator(seed, one, 0)) for one in ids]

    def _make(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        image, depth = render(rng)
        measured, valid = measure(depth, rng)
        known = rng.random(depth.shape) < 0.02
        fields = {"image": image, "log_depth": np.log(measured)[None], "valid": valid[None], "depth": depth[None]}
        fields["points"] = np.stack([known * np.log(depth), known])
        return {name: torch.from_numpy(value.astype(np.float32)) for name, value in fields.items()}

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        index, view = key
        mirror = self.flip and sample_generator(self.seed, self.ids[index], view + 1).random() < 0.5
        return {name: value.flip(-1) if mirror else value for name, value in self.samples[index].items()}

    def __len__(self) -> int:
        return len(self.samples)
