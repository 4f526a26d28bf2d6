"""Masks: every form of segmentation gives the pixels that pycocotools gives."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from kdkit.errors import DataError
from kdkit_pose.data.masks import MaskStore, encode_mask

# pycocotools 2.0.11 decodes with a call that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WIDTH, HEIGHT = 60, 40
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])
POLYGONS: dict[str, list[list[float]]] = {
    "one": [[10.3, 5.2, 30.7, 8.1, 25.5, 30.9]],
    "two": [[10.3, 5.2, 30.7, 8.1, 25.5, 30.9], [40, 20, 50, 20, 50, 35, 40, 35]],
    "reaching out": [[-12.5, -3, 75, 10, 30, 55.2]],
    "whole picture": [[0, 0, 60, 0, 60, 40, 0, 40]],
    "with a degenerate part": [[10.3, 5.2, 30.7, 8.1, 25.5, 30.9], [1, 1, 2, 2]],
}


def stored(segmentation: Any) -> np.ndarray:
    """The mask after the store, over the whole picture."""
    return MaskStore.pack([encode_mask(segmentation, WIDTH, HEIGHT)]).warp(0, IDENTITY, (WIDTH, HEIGHT))


def reference(polygons: list[list[float]]) -> np.ndarray:
    sound = [polygon for polygon in polygons if len(polygon) >= 6]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(sound, HEIGHT, WIDTH)))


@pytest.mark.parametrize("name", POLYGONS)
def test_polygons_and_both_kinds_of_rle_agree_with_pycocotools(name: str) -> None:
    expected = reference(POLYGONS[name])
    np.testing.assert_array_equal(stored(POLYGONS[name]), expected)
    compressed = coco_mask.encode(np.asfortranarray(expected))
    np.testing.assert_array_equal(stored(compressed), expected)
    as_json = {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()}
    np.testing.assert_array_equal(stored(as_json), expected)
    flat = expected.ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    runs = np.diff([0, *changes, flat.size]).tolist()
    np.testing.assert_array_equal(stored({"size": [HEIGHT, WIDTH], "counts": runs}), expected)


def test_random_polygons_agree_with_pycocotools() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        polygon = (generator.random(2 * generator.integers(3, 8)) * 80 - 15).tolist()
        expected = reference([polygon])
        np.testing.assert_array_equal(stored([polygon]), expected if expected.any() else 1)


@pytest.mark.parametrize("nothing", [None, [], [[1, 1, 2, 2]], [[-9, -9, -5, -9, -5, -5]], [[5, 5, 5, 5, 5, 5]]])
def test_what_covers_no_pixel_is_no_mask(nothing: Any) -> None:
    assert encode_mask(nothing, WIDTH, HEIGHT) is None
    assert (stored(nothing) == 1).all()


def test_store_keeps_many_masks_apart() -> None:
    segmentations = [POLYGONS["one"], None, POLYGONS["two"], POLYGONS["whole picture"]]
    store = MaskStore.pack([encode_mask(s, WIDTH, HEIGHT) for s in segmentations])
    for row, segmentation in enumerate(segmentations):
        np.testing.assert_array_equal(store.warp(row, IDENTITY, (WIDTH, HEIGHT)), stored(segmentation))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([[1, 2, 3, 4, 5, 6, 7]], "polygons"),
        ([[1, 2, 3, 4, 5, float("nan")]], "polygons"),
        ([["a", "b"]], "polygons"),
        ([1.0, 2.0], "polygons"),
        ("polygon", "polygons"),
        (7, "polygons"),
        ({"size": [60, 40], "counts": [2400]}, "size"),
        ({"counts": [2400]}, "size"),
        ({"size": [40, 60], "counts": [7, 3]}, "add up"),
        ({"size": [40, 60], "counts": [2399, -1, 2]}, "RLE"),
        ({"size": [40, 60], "counts": "\u00e9"}, "RLE|add up"),
        ({"size": [40, 60], "counts": "1"}, "RLE|add up"),
        ({"size": [40, 60], "counts": ""}, "RLE"),
        ({"size": [40, 60], "counts": "o" * 40}, "RLE"),
        ({"size": [40, 60], "counts": "o" * 40 + "0"}, "60 bits"),
        ({"size": [40, 60], "counts": "\x7f!"}, "RLE"),
        ({"size": [40, 60], "counts": [2400.0]}, "RLE"),
        ({"size": [40, 60], "counts": [10**30]}, "RLE"),
        ({"size": [40, 60], "counts": []}, "add up"),
        ({"size": [40, 60]}, "RLE"),
    ],
)
def test_malformed_segmentations_are_errors(wrong: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode_mask(wrong, WIDTH, HEIGHT)
