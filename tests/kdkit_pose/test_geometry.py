import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdkit.errors import DataError
from kdkit_pose.geometry import (
    apply_affine,
    box_to_center_scale,
    clip_box,
    compose_affine,
    corner_affine,
    crop_affine,
    invert_affine,
)

coordinate = st.floats(-500, 1500)
length = st.floats(2, 800)
angle = st.floats(-180, 180)
windows = st.tuples(st.tuples(coordinate, coordinate), st.tuples(length, length), angle)
SIZE = (192, 256)


def three_point_affine(center, scale, size, rotation):
    """The HRNet reference's formulation: centre, a point half a width above it, and the corner these two give."""
    radians = np.deg2rad(rotation)
    up = np.array([np.sin(radians), -np.cos(radians)]) * scale[0] / 2
    target_up = np.array([0, -size[0] / 2])
    source = [np.array(center), np.array(center) + up]
    target = [np.array(size) / 2, np.array(size) / 2 + target_up]
    for points in (source, target):
        step = points[0] - points[1]
        points.append(points[1] + np.array([-step[1], step[0]]))
    return cv2.getAffineTransform(np.float32(source), np.float32(target))


@given(windows)
def test_corner_affine_takes_the_crops_corners_to_the_corner_pixels(window):
    center, scale, rotation = window
    matrix = corner_affine(center, scale, SIZE, rotation)
    radians = np.deg2rad(rotation)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * scale
    found = apply_affine(matrix, corners @ turn.T + center)
    assert np.allclose(found, [[0, 0], [191, 0], [191, 255], [0, 255]], atol=1e-5)


@given(windows)
def test_both_affines_turn_the_window_the_same_way(window):
    center, (width, _), rotation = window
    # For a crop of the input's aspect they differ by a pixel of the input at most.
    scale = (width, width / 0.75)
    plain, corner = (
        apply_affine(affine(center, scale, SIZE, rotation), [np.add(center, [0.2 * width, 0.1 * width])])
        for affine in (crop_affine, corner_affine)
    )
    assert np.abs(plain - corner).max() <= 1


@given(windows)
def test_crop_affine_is_the_three_point_formula(window):
    center, scale, rotation = window
    expected = three_point_affine(center, scale, SIZE, rotation)
    corners = np.array(center) + np.array([[-1, -1], [1, -1], [0, 1]]) * scale[0]
    found = apply_affine(crop_affine(center, scale, SIZE, rotation), corners)
    # cv2 takes its points in float32: 1e-4 px at a coordinate of 1500, magnified by the crop.
    tolerance = 0.01 + 1e-3 * SIZE[0] / scale[0]
    assert np.allclose(apply_affine(expected, corners), found, atol=tolerance)


@given(windows)
def test_center_stays_in_the_middle_whatever_the_rotation(window):
    center, scale, rotation = window
    assert np.allclose(apply_affine(crop_affine(center, scale, SIZE, rotation), center), [96, 128])


def test_scale_spans_the_input_and_rotation_turns_about_the_center():
    half = np.array([30.0, 40.0])
    affine = crop_affine((100, 50), 2 * half, SIZE)
    assert np.allclose(apply_affine(affine, [(70, 10), (130, 90)]), [(0, 0), (192, 256)])
    quarter = crop_affine((100, 50), 2 * half, SIZE, rotation_degrees=90)
    assert np.allclose(apply_affine(quarter, (130, 50)), (96, 128 - 96))


@given(windows, st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=5))
def test_inverse_after_forward_is_the_identity(window, points):
    affine = crop_affine(*window[:2], SIZE, window[2])
    back = invert_affine(affine)
    assert np.allclose(apply_affine(back, apply_affine(affine, points)), points, atol=1e-6)
    assert np.allclose(compose_affine(back, affine), np.eye(3)[:2], atol=1e-6)


@given(windows, windows)
def test_composition_does_the_inner_map_first(first, second):
    inner, outer = (crop_affine(*window[:2], SIZE, window[2]) for window in (first, second))
    points = np.array([[[0.0, 0.0], [10.0, -3.0]]])
    both = apply_affine(compose_affine(outer, inner), points)
    assert both.shape == points.shape
    assert np.allclose(both, apply_affine(outer, apply_affine(inner, points)), rtol=1e-6, atol=1e-6)


@given(coordinate, coordinate, length, length, st.sampled_from([0.75, 1.0, 1.5]))
def test_crop_contains_its_box_and_has_the_aspect(x, y, width, height, aspect):
    center, scale = box_to_center_scale([x, y, width, height], aspect)
    assert np.allclose(center, [x + width / 2, y + height / 2])
    assert scale[0] / scale[1] == pytest.approx(aspect)
    room = scale / np.array([width, height])
    assert room.min() == pytest.approx(1.25)


@pytest.mark.parametrize("box", [[5, 5, 0, 0], [5, 5, -3, -1], [np.nan, 5, 10, 10], [5, 5, np.inf, 10]])
def test_boxes_that_show_nothing_are_refused(box):
    with pytest.raises(DataError, match="shows nothing"):
        box_to_center_scale(box, aspect=0.75)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([10, 20, 30, 40], [10, 20, 30, 40]),
        ([-10, -20, 30, 40], [0, 0, 20, 20]),
        ([630, 470, 30, 40], [630, 470, 9, 9]),
        ([700, 20, 30, 40], [639, 20, 0, 40]),
        ([10, 20, -5, 40], [10, 20, 0, 40]),
    ],
)
def test_clip_box(box, expected):
    assert clip_box(box, width=640, height=480).tolist() == expected
