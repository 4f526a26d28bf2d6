"""The vectorised codecs against the reference protocol written out cell by cell."""

import math

import cv2
import numpy as np
import pytest
import torch

from kdkit_pose import codecs


def slow_msra_target(x, y, width, height, sigma):
    center_x, center_y = int(x / 4 + 0.5), int(y / 4 + 0.5)
    heatmap = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            dx, dy = column - center_x, row - center_y
            if max(abs(dx), abs(dy)) <= 3 * sigma:
                heatmap[row, column] = math.exp(-(dx * dx + dy * dy) / (2 * sigma**2))
    return heatmap


def slow_dark_target(x, y, width, height, sigma):
    heatmap = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            heatmap[row, column] = math.exp(-((column - x / 4) ** 2 + (row - y / 4) ** 2) / (2 * sigma**2))
    return heatmap


def slow_udp_target(x, y, width, height, sigma):
    scale_x, scale_y = (4 * width - 1) / (width - 1), (4 * height - 1) / (height - 1)
    heatmap = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            distance = (column - x / scale_x) ** 2 + (row - y / scale_y) ** 2
            heatmap[row, column] = math.exp(-distance / (2 * sigma**2))
    return heatmap


def slow_peak(heatmap):
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    return (int(column), int(row), heatmap[row, column]) if heatmap.max() > 0 else (0, 0, 0.0)


def slow_msra_decode(heatmap, sigma):
    height, width = heatmap.shape
    x, y, score = slow_peak(heatmap)
    step_x = step_y = 0.0
    if 1 < x < width - 1 and 1 < y < height - 1:
        step_x = 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
        step_y = 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    return 4 * (x + step_x), 4 * (y + step_y), score


def slow_log(heatmap, sigma):
    kernel = {2.0: 11, 3.0: 17}[sigma]
    edge = kernel // 2
    smooth = cv2.GaussianBlur(np.pad(heatmap, edge), (kernel, kernel), 0)[edge:-edge, edge:-edge]
    return np.log(np.maximum(smooth / smooth.max(), 1e-10))


def slow_step(gradient, hessian):
    if np.linalg.eigvalsh(hessian).max() >= 0:
        return np.zeros(2)
    return np.clip(-np.linalg.solve(hessian, gradient), -2, 2)


def slow_dark_decode(heatmap, sigma):
    x, y, score = slow_peak(heatmap)
    log = slow_log(heatmap, sigma)
    gradient = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    xx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
    yy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    xy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
    step = slow_step(gradient, np.array([[xx, xy], [xy, yy]]))
    return 4 * (x + step[0]), 4 * (y + step[1]), score


def slow_udp_decode(heatmap, sigma):
    height, width = heatmap.shape
    x, y, score = slow_peak(heatmap)
    log = slow_log(heatmap, sigma)
    right, left, below, above = log[y, x + 1], log[y, x - 1], log[y + 1, x], log[y - 1, x]
    middle = log[y, x]
    corners = log[y + 1, x + 1] + log[y - 1, x - 1]
    xy = (corners - right - left - below - above + 2 * middle) / 2
    hessian = np.array([[right - 2 * middle + left, xy], [xy, below - 2 * middle + above]])
    step = slow_step(np.array([right - left, below - above]) / 2, hessian)
    # Its unit is the distance between the centres of the first and the last pixel.
    return (x + step[0]) * (4 * width - 1) / (width - 1), (y + step[1]) * (4 * height - 1) / (height - 1), score


ENCODE = {"msra": slow_msra_target, "dark": slow_dark_target, "udp": slow_udp_target}
DECODE = {"msra": slow_msra_decode, "dark": slow_dark_decode, "udp": slow_udp_decode}
every_case = pytest.mark.parametrize(
    ("name", "size", "sigma"),
    [(name, *case) for name in codecs.names() for case in (((96, 128), 2.0), ((144, 120), 3.0))],
)


@every_case
def test_encode_is_the_slow_formula(name, size, sigma):
    codec = codecs.create(name, size, sigma)
    keypoints = np.random.default_rng(1).uniform(-20, np.array(size) + 20, size=(12, 2))
    heatmap, weight = codec.encode(keypoints, np.ones(12))
    width, height = codec.heatmap_size
    for (x, y), found, labelled in zip(keypoints, heatmap, weight, strict=True):
        expected = ENCODE[name](x, y, width, height, sigma) * labelled
        assert np.allclose(found, expected, atol=1e-6)


def maps_of_every_kind(codec: codecs.Codec) -> np.ndarray:
    """Targets all over and beyond the map, noisy ones, plain noise, and peaks on the borders' cells."""
    rng = np.random.default_rng(2)
    width, height = codec.heatmap_size
    keypoints = rng.uniform(-10, np.array(codec.input_size) + 10, size=(200, 2))
    targets = codec.encode(keypoints, np.ones(200))[0]
    noisy = targets + rng.normal(0, 0.1, targets.shape)
    noise = rng.normal(0, 1, (30, height, width))
    borders = []
    for x, y in [(0, 9), (1, 9), (2, 9), (width - 1, 9), (width - 2, 9), (width - 3, 9), (9, 0), (9, height - 2)]:
        smooth = cv2.GaussianBlur(rng.uniform(0, 0.5, (height, width)), (5, 5), 0)
        smooth[y, x] = 1.0
        borders.append(smooth)
    return np.concatenate([targets, noisy, noise, np.array(borders)]).astype(np.float32)


def smoothing_sees_only_the_map(codec, heatmap: np.ndarray) -> bool:
    x, y, _ = slow_peak(heatmap)
    height, width = heatmap.shape
    margin = codec.blur_kernel // 2 + codec.reach
    return margin <= x < width - margin and margin <= y < height - margin


@every_case
def test_decode_is_the_slow_formula(name, size, sigma):
    codec = codecs.create(name, size, sigma)
    maps = maps_of_every_kind(codec)
    # Nearer to the border DARK and UDP add what it cuts off, which the reference does not.
    if name != "msra":
        maps = maps[[smoothing_sees_only_the_map(codec, heatmap) for heatmap in maps]]
        maps = maps[: len(maps) // 2 * 2]
        assert len(maps) > 20
    keypoints, scores = codec.decode(torch.from_numpy(maps).reshape(2, -1, *maps.shape[1:]))
    expected = np.array([DECODE[name](heatmap.astype(np.float64), sigma) for heatmap in maps])
    error = np.abs(keypoints.flatten(0, 1).numpy() - expected[:, :2]) / codec.cell_size
    # In cells; the logarithms of float32 leave a hundredth of this.
    assert error.max() < 1e-3
    assert np.allclose(scores.flatten(), np.maximum(expected[:, 2], 0))
