"""The quick warp gives what the plain one does, to the last bit."""

import cv2
import numpy as np
import pytest

from kdkit_pose.codecs import MSRA
from kdkit_pose.data.warping import warp, window_read, within_opencv
from kdkit_pose.geometry import compose_affine, corner_affine

SIZE = (48, 64)
MIRROR = [[-1, 0, 89], [0, 1, 0]]


def maps():
    """Maps of any zoom, turn and place: within the picture, across its edges and beside it."""
    draw = np.random.default_rng(0)
    for _ in range(60):
        center, height = draw.uniform(-150, 250, 2), draw.uniform(5, 300)
        matrix = MSRA(SIZE).affine(center, [height * 0.75, height], draw.uniform(-180, 180))
        yield matrix if draw.random() < 0.5 else compose_affine(matrix, MIRROR)
    yield corner_affine([40, 30], [30, 40], SIZE)


@pytest.mark.parametrize("planes", [3, 4])
def test_the_pixels_are_those_of_a_plain_warp(planes):
    pixels = np.random.default_rng(1).integers(0, 256, (70, 90, planes), dtype=np.uint8)
    shown = 0
    for matrix in maps():
        expected = cv2.warpAffine(pixels, matrix, SIZE, flags=cv2.INTER_LINEAR)
        found = warp(pixels, matrix, SIZE)
        assert found.shape == (*expected.shape[:2], 4)
        assert np.array_equal(found[..., :planes], expected)
        shown += bool(expected.any())
    assert 20 < shown < 61


def test_a_map_that_flattens_everything_is_warped_all_the_same():
    pixels = np.full((7, 9, 3), 200, dtype=np.uint8)
    matrix = np.zeros((2, 3))
    expected = cv2.warpAffine(pixels, matrix, SIZE, flags=cv2.INTER_LINEAR)
    assert np.array_equal(warp(pixels, matrix, SIZE)[..., :3], expected)


@pytest.mark.parametrize("shape", [(40, 33_000, 3), (33_000, 40, 4)])
def test_a_panorama_is_warped_by_the_part_that_is_read(shape):
    pixels = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    height, width, planes = shape
    for center in ([width / 2, height / 2], [width - 5, height - 5], [3, 3], [-400, -400], [width + 400, 9]):
        matrix = MSRA(SIZE).affine(center, [30, 40], 25.0)
        part, moved = within_opencv(pixels, matrix, SIZE)
        assert max(part.shape[:2]) < 200
        assert np.array_equal(
            cv2.warpAffine(part, moved, SIZE, flags=cv2.INTER_LINEAR), warp(pixels, matrix, SIZE)[..., :planes]
        )
        # Beside a plain warp of the same places, around which a smaller picture is cut.
        left, top = max(int(center[0]) - 100, 0), max(int(center[1]) - 100, 0)
        smaller = pixels[top : top + 300, left : left + 300]
        if smaller.size:
            shifted = compose_affine(matrix, [[1, 0, left], [0, 1, top]])
            expected = cv2.warpAffine(smaller, shifted, SIZE, flags=cv2.INTER_LINEAR)
            found = warp(pixels, matrix, SIZE)[..., :planes]
            assert np.abs(found.astype(int) - expected).max() <= 8
        else:
            assert not warp(pixels, matrix, SIZE)[..., :planes].any()


def test_no_pixel_beyond_the_window_counts():
    draw = np.random.default_rng(2)
    pixels = draw.integers(0, 256, (70, 90, 4), dtype=np.uint8)
    smaller = 0
    for matrix in maps():
        rows, columns = window_read(matrix, SIZE, (90, 70))
        other = draw.integers(0, 256, pixels.shape, dtype=np.uint8)
        other[rows, columns] = pixels[rows, columns]
        both = [cv2.warpAffine(one, matrix, SIZE, flags=cv2.INTER_LINEAR) for one in (pixels, other)]
        assert np.array_equal(*both)
        smaller += (rows.stop - rows.start) * (columns.stop - columns.start) < 70 * 90 / 2
    assert smaller > 10
