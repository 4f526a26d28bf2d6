from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdkit_pose.prediction import Poses
from kdkit_pose.skeleton import COCO, Skeleton


@pytest.fixture
def make_poses() -> Callable[..., Poses]:
    """Makes persons that stand beside each other in a picture of 320 x 240, keypoints inside of their boxes."""

    def make(persons: int = 2, skeleton: Skeleton = COCO, score: float = 0.9) -> Poses:
        rng = np.random.default_rng(0)
        boxes = np.array([[20.0 + 90 * row, 40.0, 70.0, 160.0] for row in range(persons)]).reshape(-1, 4)
        keypoints = np.full((persons, skeleton.num_keypoints, 3), score)
        places = rng.uniform(size=(persons, skeleton.num_keypoints, 2))
        keypoints[..., :2] = boxes[:, None, :2] + places * boxes[:, None, 2:]
        return Poses(
            keypoints=keypoints,
            scores=np.linspace(score, score - 0.1, persons),
            boxes=boxes,
            box_scores=np.ones(persons),
            centers=boxes[:, :2] + boxes[:, 2:] / 2,
            scales=np.full((persons, 2), [150.0, 200.0]),
        )

    return make


@pytest.fixture
def picture() -> np.ndarray:
    """RGB, 320 x 240, of no plain colour."""
    noise = np.random.default_rng(1).integers(0, 256, size=(12, 16, 3), dtype=np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def write_picture() -> Callable[..., Path]:
    """Writes a picture file, RGB, RGBA or grey."""

    def write(path: Path, picture: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
        stored = picture if picture.ndim == 2 else picture[:, :, order[picture.shape[2]]]
        assert cv2.imwrite(str(path), np.ascontiguousarray(stored))
        return path

    return write
