"""Whatever annotations, boxes and masks say: they are taken as they are, or refused by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from kdkit.errors import DataError
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.data.annotations import parse_persons
from kdkit_pose.data.boxes import parse_boxes
from kdkit_pose.data.masks import EncodedMask, encode_mask
from kdkit_pose.data.pictures import Pictures
from kdkit_pose.data.rle import decompress, paint, parse_runs
from kdkit_pose.data.skipped import Skipped
from kdkit_pose.skeleton import COCO

quick = settings(
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.one_of(
    st.floats(width=32),
    st.integers(-(10**400), 10**400),
    st.integers(-500, 900),
    st.sampled_from([1e300, 2**63, "7"]),
)
NONSENSE = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
POLYGONS = st.lists(
    st.lists(st.one_of(st.integers(-30, 90), st.floats(-30, 90)), min_size=6, max_size=12), max_size=3
)


def pictures(content: dict[str, Any]) -> Pictures:
    return Pictures(
        content, "a file", lambda entry: np.zeros((entry["height"], entry["width"], 3), np.uint8), verify=False
    )


@quick
@given(
    st.sampled_from(["id", "image_id", "bbox", "keypoints", "area", "iscrowd", "category_id", "segmentation"]),
    NONSENSE,
)
def test_an_annotation_is_taken_or_refused_by_name(
    content: Callable[..., dict[str, Any]], person: Callable[..., dict[str, Any]], key: str, value: Any
) -> None:
    whole = content(person() | {key: value}, person(id=8))
    try:
        data = CocoKeypoints(whole, lambda entry: np.zeros((360, 400, 3), np.uint8), codec=MSRA((48, 64)))
    except DataError as error:
        told = str(error)
    else:
        told = ""
    if told:
        assert "annotation" in told
        return
    for row in range(len(data)):
        sample = data[row]
        assert all(bool(value.isfinite().all()) for value in sample.values())
        assert sample["mask"].min() >= 0


@quick
@given(st.lists(NUMBERS, min_size=4, max_size=4), NUMBERS, NONSENSE)
def test_a_box_is_taken_as_it_is_or_refused_by_its_place(
    content: Callable[..., dict[str, Any]], box: list[Any], score: Any, image_id: Any
) -> None:
    good = {"image_id": 3, "category_id": 1, "bbox": [1.0, 2.0, 30.0, 40.0], "score": 0.5}
    rows = [good, good | {"bbox": box, "score": score}, good | {"image_id": image_id}]
    try:
        persons = parse_boxes(rows, pictures(content()), Skipped())
    except DataError as error:
        told = str(error)
    else:
        told = ""
    if told:
        assert "detection number" in told
        return
    for found in persons:
        np.testing.assert_array_equal(found.box, np.array(rows[found.id]["bbox"], dtype=np.float64))


@quick
@given(st.lists(NUMBERS, min_size=51, max_size=51), st.lists(NUMBERS, min_size=4, max_size=4))
def test_kept_keypoints_lie_in_the_picture(
    content: Callable[..., dict[str, Any]],
    person: Callable[..., dict[str, Any]],
    keypoints: list[Any],
    box: list[Any],
) -> None:
    whole = content(person(keypoints=keypoints, bbox=box))
    try:
        persons = parse_persons(whole, "a file", COCO, pictures(whole), Skipped(), masks=False)
    except DataError:
        return
    for one in persons:
        assert (one.keypoints >= 0).all()
        assert (one.keypoints[:, 0] < 400).all()
        assert (one.keypoints[:, 1] < 360).all()
        assert (one.box[2:] > 0).all()
        assert (one.box[:2] + one.box[2:] <= [399, 359]).all()


@quick
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_every_mask_comes_back_from_all_of_its_forms(width: int, height: int, seed: int, share: float) -> None:
    mask = np.asfortranarray(np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    compressed = coco_mask.encode(mask)
    changes = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0)).tolist()
    runs = np.diff([0, *changes, mask.size]).tolist()
    np.testing.assert_array_equal(paint(decompress(compressed["counts"]), width, height) > 0, mask > 0)
    for counts in (compressed["counts"], compressed["counts"].decode(), runs):
        assert_stands_for(encode_mask({"size": [height, width], "counts": counts}, width, height), mask)


@quick
@given(POLYGONS, st.integers(1, 60), st.integers(1, 60))
def test_polygons_cover_what_pycocotools_says(polygons: list[list[float]], width: int, height: int) -> None:
    polygons = [polygon[: len(polygon) // 2 * 2] for polygon in polygons]
    assume(polygons)
    expected = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    assert_stands_for(encode_mask(polygons, width, height), paint(decompress(expected["counts"]), width, height))


def assert_stands_for(found: EncodedMask | None, mask: np.ndarray) -> None:
    whole = np.zeros_like(mask)
    if found is not None:
        left, top, width, height = found.window
        whole[top : top + height, left : left + width] = found.paint()
    np.testing.assert_array_equal(whole > 0, mask > 0)


@quick
@given(
    NONSENSE | st.binary(max_size=12) | st.lists(st.integers(-3, 20), max_size=6),
    st.integers(1, 8),
    st.integers(1, 8),
)
def test_runs_fill_the_mask_or_are_refused(counts: Any, width: int, height: int) -> None:
    try:
        runs = parse_runs(counts, width * height)
    except DataError:
        return
    assert paint(runs, width, height).shape == (height, width)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ({"size": [2**20, 2**20], "counts": "0"}, "1,099,511,627,776 pixels, .* KDKIT_MAX_PICTURE_PIXELS"),
        ([[0, 0, 1e12, 0, 0, 9]], "KDKIT_MAX_OUTLINE_PIXELS"),
        ([[0, 0, 1e300, 0, 0, 9]], "KDKIT_MAX_OUTLINE_PIXELS"),
        ([[0, 0, 50, 0] * 20_000 + [5, 5]], "2,000,0.. pixels of outline, .* KDKIT_MAX_OUTLINE_PIXELS"),
    ],
)
def test_a_mask_that_claims_much_is_refused(segmentation: Any, words: str) -> None:
    side = 2**20 if isinstance(segmentation, dict) else 100
    with pytest.raises(DataError, match=words):
        encode_mask(segmentation, side, side)


def test_a_picture_that_claims_much_is_refused_and_the_limit_may_be_raised(
    content: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content()
    whole["images"][0] |= {"width": 2**14, "height": 2**14}
    with pytest.raises(DataError, match=r"number 0: its width and height make 268,435,456 pixels, the limit"):
        pictures(whole)
    monkeypatch.setenv("KDKIT_MAX_PICTURE_PIXELS", str(2**28))
    pictures(whole)
