"""Draws a head: an ellipsoid with hair, face, ears and hat painted on its surface."""

import math
from typing import Final

import numpy as np

from kdkit_pose.synthetic.appearance import Hair
from kdkit_pose.synthetic.canvas import Array, Canvas, Colour, capsules, ellipse, hull_of_discs, shaded
from kdkit_pose.synthetic.figure import Figure
from kdkit_pose.synthetic.kinematics import Point

_AROUND: Final = np.linspace(0.0, 2.0 * np.pi, 19)[:-1]
# A face reaches further down, to the chin, than up, to the hair line: angles from its middle, in radians.
_FACE_REACH: Final = np.radians(64.0 - 14.0 * np.sin(_AROUND))
_FACE: Final = np.stack(
    [np.sin(_FACE_REACH) * np.cos(_AROUND), np.sin(_FACE_REACH) * np.sin(_AROUND), np.cos(_FACE_REACH)],
    axis=1,
)
_CAP_REACH: Final = math.radians(74.0)
_CAP: Final = np.stack(
    [
        math.sin(_CAP_REACH) * np.cos(_AROUND),
        np.full(18, math.cos(_CAP_REACH)),
        math.sin(_CAP_REACH) * np.sin(_AROUND),
    ],
    axis=1,
)
_SMALLEST_FACE: Final = 9.0  # height of a head, in pixels, below which a face has no features


class HeadPainter:
    """Paints one figure's head.

    Args:
        canvas: painted on.
        figure: whose head.
        label: of the head.

    """

    def __init__(self, canvas: Canvas, figure: Figure, label: int) -> None:
        self.canvas, self.figure, self.label = canvas, figure, label
        self.look = figure.look
        centre = figure.posed.points[Point.HEAD]
        self.scale = float(figure.magnification(centre[None])[0])
        self.centre = figure.pixels[Point.HEAD]
        # Maps the unit sphere to picture axes, in pixels; the third row is nearness.
        self.surface = figure.posed.head * figure.body.head * self.scale
        self.surface[1] *= -1.0
        # The silhouette of the ellipsoid is the image of the unit circle under this matrix.
        self.silhouette: Array = np.asarray(np.linalg.cholesky(self.surface[:2] @ self.surface[:2].T), np.float64)
        self.ahead = float(figure.posed.head[2, 2])  # 1 faces the camera, -1 turns away

    def paint(self) -> None:
        """Paint everything, back to front."""
        behind = self.ahead < -0.2
        if not behind:
            self._hanging_hair()
        self._neck()
        if behind:
            self._hanging_hair()
        self._skull()
        if self.ahead > -0.3:
            self._face()
        self._ears()
        self._hat()

    def _fill(self, outline: Array, colour: Colour) -> None:
        self.canvas.convex(outline, colour, self.label)

    def _at(self, directions: Array) -> tuple[Array, Array]:
        """Pixels [N, 2] and nearness [N] of directions [N, 3] from the centre, on the surface."""
        points = directions @ self.surface.T
        return points[:, :2] + self.centre, points[:, 2]

    def _region(self, boundary: Array) -> Array:
        """Outline [N, 2] of a region of the surface; what lies on the far side is pushed out to the edge."""
        points = boundary @ self.surface.T
        flat = points[:, :2]
        round_ = np.linalg.solve(self.silhouette, flat.T).T
        edge = (round_ / np.maximum(np.linalg.norm(round_, axis=1, keepdims=True), 1e-6)) @ self.silhouette.T
        return np.asarray(np.where(points[:, 2:] < 0.0, edge, flat) + self.centre)

    def _neck(self) -> None:
        base, top = self.figure.pixels[Point.NECK], self.centre
        thick = np.array([0.027 * self.scale * self.figure.body.girth])
        start = base + 0.12 * (top - base)
        self._fill(capsules(start[None], top[None], thick, thick)[0], shaded(self.look.skin, 0.82))

    def _hanging_hair(self) -> None:
        if self.look.hair_kind is not Hair.LONG:
            return
        width, height, depth = self.figure.body.head
        chest = self.figure.posed.chest
        back = self.figure.posed.points[Point.HEAD] - self.figure.posed.head[:, 2] * (0.45 * depth)
        tips = back - chest[:, 1] * (1.75 * height) + np.outer((-0.65, 0.65), chest[:, 0] * width)
        discs = self.figure.project(np.vstack([back, tips]))
        radii = np.array([1.12 * width, 0.5 * width, 0.5 * width]) * self.scale
        self._fill(hull_of_discs(discs, radii), shaded(self.look.hair, 0.9))

    def _skull(self) -> None:
        bald = self.look.hair_kind is Hair.BALD
        colour = self.look.skin if bald else self.look.hair
        grown = self.silhouette * (1.0 if bald else 1.06)
        self._fill(ellipse(self.centre, grown), shaded(colour, 0.82))
        self._fill(ellipse(self.centre - 0.07 * self.scale * 0.076, grown * 0.88), colour)
        if self.look.hair_kind is Hair.BUN:
            place, _ = self._at(np.array([[0.0, 0.75, -0.85]]))
            self._fill(ellipse(place[0], np.eye(2) * (0.034 * self.scale)), shaded(colour, 0.9))

    def _face(self) -> None:
        skin = self.look.skin
        tilt = np.array([[1.0, 0.0, 0.0], [0.0, 0.985, -0.174], [0.0, 0.174, 0.985]])
        self.canvas.polygon(self._region(_FACE @ tilt.T), skin, self.label)
        size = self.scale * 2 * self.figure.body.head[1]
        if size < _SMALLEST_FACE:
            return
        width = 0.011 * self.scale
        eyes, nearness = self._at(np.array([[0.40, 0.13, 0.91], [-0.40, 0.13, 0.91]]))
        brows, _ = self._at(np.array([[0.42, 0.36, 0.83], [-0.42, 0.36, 0.83]]))
        for eye, brow, near in zip(eyes, brows, nearness, strict=True):
            if near > 0.1 * self.scale * self.figure.body.head[2]:
                self._fill(ellipse(eye, np.diag([1.25 * width, 0.85 * width])), (236, 232, 226))
                self._fill(ellipse(eye, np.eye(2) * (0.75 * width)), (36, 26, 22))
                self._fill(ellipse(brow, np.diag([1.4 * width, 0.4 * width])), shaded(self.look.hair, 0.8))
        marks, _ = self._at(
            np.array([[0.0, 0.05, 0.99], [0.0, -0.12, 1.1], [0.22, -0.5, 0.84], [-0.22, -0.5, 0.84]])
        )
        thin = np.array([0.5 * width])
        self._fill(capsules(marks[0:1], marks[1:2], 0.7 * thin, 1.7 * thin)[0], shaded(skin, 0.84))
        if self.ahead > 0.1:
            self._fill(capsules(marks[2:3], marks[3:4], thin, thin)[0], shaded((178, 84, 78), skin[0] / 255))

    def _ears(self) -> None:
        if self.look.hair_kind is Hair.LONG:
            return
        tips, nearness = self._at(np.array([[1.0, 0.0, -0.08], [-1.0, 0.0, -0.08]]))
        axes = self.silhouette / np.linalg.norm(self.silhouette, axis=0) * (0.009, 0.016) * self.scale
        for tip, near in zip(tips, nearness, strict=True):
            if near > -0.25 * self.scale * self.figure.body.head[0]:
                self._fill(ellipse(tip, axes), shaded(self.look.skin, 0.88))

    def _hat(self) -> None:
        if self.look.hat is None:
            return
        lift = np.array([0.0, 0.22, 0.0])
        crown = self._region(_CAP * 1.1 + lift)
        self.canvas.convex(hull_of_discs(crown, np.full(len(crown), 0.1)), self.look.hat, self.label)
        if self.look.brim and self.ahead > -0.4:
            rim, _ = self._at(
                np.array([[0.8, 0.42, 0.75], [0.5, 0.36, 1.5], [-0.5, 0.36, 1.5], [-0.8, 0.42, 0.75]])
            )
            self.canvas.polygon(rim, shaded(self.look.hat, 0.72), self.label)
