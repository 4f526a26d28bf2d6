"""Masks put back into the picture, and warped into the crop again, are what was predicted."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from kdkit_pose.codecs import DARK
from kdkit_pose.data.masks import MaskStore, encode_mask
from kdkit_pose.data.rle import paint, parse_runs
from kdkit_pose.geometry import apply_affine
from kdkit_pose.masks import place_mask

SIZE = (150, 110)
CODEC = DARK(input_size=(48, 64))


def blob(sharpness: float = 6.0) -> np.ndarray:
    """The probabilities of an egg off the middle of the crop."""
    y, x = np.mgrid[:64, :48]
    distance = np.hypot((x - 26) / 15, (y - 30) / 22)
    return (1 / (1 + np.exp(sharpness * (distance - 1)))).astype(np.float32)


def in_picture(rle: dict) -> np.ndarray:
    height, width = rle["size"]
    return paint(parse_runs(rle["counts"], width * height), width, height) > 0


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("scale", [36.0, 60.0, 140.0])
@pytest.mark.parametrize("center", [(70.0, 55.0), (8.5, 100.0), (140.0, 4.0)])
def test_every_pixel_agrees_with_a_slow_reference(scale: float, center: tuple[float, float], full: bool) -> None:
    matrix = CODEC.affine(center, (scale, scale / 0.75))
    probability = np.ones((64, 48), np.float32) if full else blob()
    expected = np.zeros((SIZE[1], SIZE[0]))
    padded = np.pad(probability.astype(np.float64), 2)
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            u, v = apply_affine(matrix, [x, y])
            if -1 <= u < 48 and -1 <= v < 64:
                i, j = int(np.floor(u)), int(np.floor(v))
                cell = padded[j + 2 : j + 4, i + 2 : i + 4]
                expected[y, x] = np.array([1 - (v - j), v - j]) @ cell @ np.array([1 - (u - i), u - i])
    found = in_picture(place_mask(probability, matrix, SIZE, 0.5))
    # OpenCV interpolates in steps of 1/32 pixel: only pixels at the threshold may differ.
    certain = np.abs(expected - 0.5) > 0.02
    np.testing.assert_array_equal(found[certain], expected[certain] > 0.5)
    assert certain.mean() > 0.95
    assert found.any()


@pytest.mark.parametrize("scale", [60.0, 100.0])
def test_stored_and_warped_into_the_crop_again_it_is_what_was_predicted(scale: float) -> None:
    matrix, probability = CODEC.affine((75, 55), (scale, scale / 0.75)), blob()
    rle = place_mask(probability, matrix, SIZE, 0.5)
    store = MaskStore.pack([encode_mask(rle, *SIZE)])
    again = store.warp(0, matrix, CODEC.input_size) >= 0.5
    direct = probability >= 0.5
    reachable = _inside_picture(matrix)
    overlap = (again & direct)[reachable].sum() / (again | direct)[reachable].sum()
    assert overlap > 0.96


def test_a_crop_of_the_pictures_own_pixels_is_kept_exactly() -> None:
    probability = blob()
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    rle = place_mask(probability, identity, (48, 64), 0.5)
    np.testing.assert_array_equal(in_picture(rle), probability >= 0.5)
    assert int(coco_mask.area(rle)) == (probability >= 0.5).sum()


def test_the_threshold_decides() -> None:
    areas = [
        int(coco_mask.area(place_mask(blob(2.0), CODEC.affine((75, 55), (60, 80)), SIZE, threshold)))
        for threshold in (0.2, 0.5, 0.8)
    ]
    assert areas[0] > areas[1] > areas[2] > 0


def test_a_crop_beside_the_picture_is_empty() -> None:
    rle = place_mask(np.ones((64, 48), np.float32), CODEC.affine((-500, 55), (60, 80)), SIZE, 0.5)
    assert rle["size"] == [110, 150]
    assert int(coco_mask.area(rle)) == 0


def _inside_picture(matrix: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:64, :48]
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ inverse.T
    return (points[..., 0] >= 0) & (points[..., 0] < SIZE[0]) & (points[..., 1] >= 0) & (points[..., 1] < SIZE[1])
