"""A small made-up data set: one person whose every keypoint is a disc of its own colour."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from kdkit_pose.data import CocoKeypoints, pack
from kdkit_pose.skeleton import COCO

WIDTH, HEIGHT = 400, 360
RADIUS = 8.0

# Two columns and a middle, as of a person from the front, far enough apart for no two discs to touch.
POINTS = np.array(
    [(201.5, 40)]
    + [(x + 0.25 * row, 70.0 + 35 * row) for row in range(8) for x in (150.25 + 3 * row, 250.75 + 5 * row)]
)
COLOURS = np.array([(250 - 13 * k, 40 + 13 * k, 90 + 70 * (k % 3)) for k in range(17)], dtype=np.float64)


def make_person(**changes: Any) -> dict[str, Any]:
    """An annotation of the person; a change to None takes the key out."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    person = {
        "id": 7,
        "image_id": 3,
        "category_id": 1,
        "iscrowd": 0,
        "area": 30000.0,
        "bbox": [130.0, 20.0, 180.0, 320.0],
        "keypoints": [float(v) for x, y in POINTS for v in (x, y, 2)],
        "segmentation": [(point + circle).ravel().tolist() for point in POINTS],
    }
    return {key: value for key, value in (person | changes).items() if value is not None}


def make_content(*annotations: Mapping[str, Any]) -> dict[str, Any]:
    """A COCO file's content with one picture."""
    return {
        "images": [{"id": 3, "file_name": "picture.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": list(annotations) or [make_person()],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }


def draw_discs(entry: Mapping[str, Any]) -> np.ndarray:
    """The picture: smooth-edged discs of `COLOURS` on black."""
    return _discs(entry["width"], entry["height"]).copy()


@cache
def _discs(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    picture = np.zeros((height, width, 3))
    for point, colour in zip(POINTS, COLOURS, strict=True):
        distance = np.hypot(x - point[0], y - point[1])
        picture += np.clip(RADIUS + 0.5 - distance, 0, 1)[..., None] * colour
    return np.rint(picture).astype(np.uint8)


@pytest.fixture
def person() -> Callable[..., dict[str, Any]]:
    return make_person


@pytest.fixture
def content() -> Callable[..., dict[str, Any]]:
    return make_content


@pytest.fixture
def draw() -> Callable[[Mapping[str, Any]], np.ndarray]:
    return draw_discs


@pytest.fixture
def colours() -> np.ndarray:
    return COLOURS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the picture as a file."""
    picture = draw_discs({"width": WIDTH, "height": HEIGHT})
    cv2.imwrite(str(tmp_path / "picture.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return tmp_path


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    """Packs a data set into a folder of its own."""

    def make(data: CocoKeypoints, **options: object) -> Path:
        return pack(data, tmp_path / f"packed{len(list(tmp_path.iterdir()))}", **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures, which is no part of the project."""
    path = Path(__file__).parents[4] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real data at {path}")
    return path
