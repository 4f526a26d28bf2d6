"""Input and decoding by the words and numbers in a file's metadata alone, with NumPy and OpenCV."""

import cv2
import numpy as np


def crop(picture, box, preprocessing):
    """The input, and the affine map to it, of an RGB picture and a box (left, top, width, height)."""
    left, top, width, height = box
    middle = np.array([left + width / 2, top + height / 2])
    aspect = preprocessing["crop_aspect"]
    size = np.array([max(width, height * aspect), max(height, width / aspect)]) * preprocessing["crop_padding"]
    first, last = np.array(preprocessing["crop_corners"])
    factor = (last - first) / size
    matrix = np.column_stack([np.diag(factor), first - factor * (middle - size / 2)])
    flags = {"bilinear": cv2.INTER_LINEAR}[preprocessing["interpolation"]]
    warped = cv2.warpAffine(picture, matrix, preprocessing["input_size"], flags=flags)
    if preprocessing["dtype"] == "uint8":
        return warped, matrix
    return ((warped / 255 - preprocessing["mean"]) / preprocessing["std"]).transpose(2, 0, 1), matrix


def decode(heatmap, decoding):
    """The point, in pixels of the input, and the score of one heatmap [h, w]."""
    step = {"msra": _quarter, "dark": _dark, "udp": _udp, "centroid": _centroid}[decoding["rule"]]
    return np.array(step(heatmap.astype(np.float64), decoding)) * decoding["cell_size"], max(heatmap.max(), 0)


def _quarter(values, decoding):
    x, y = _highest(values)
    height, width = values.shape
    if not (1 < x < width - 1 and 1 < y < height - 1):
        return np.array([x, y])
    slopes = values[y, x + 1] - values[y, x - 1], values[y + 1, x] - values[y - 1, x]
    return np.array([x, y]) + 0.25 * np.sign(slopes)


def _dark(values, decoding):
    return _newton(_logarithm(values, decoding), _highest(values), _wide, decoding)


def _udp(values, decoding):
    return _newton(_logarithm(values, decoding), _highest(values), _near, decoding)


def _centroid(values, decoding):
    log = _logarithm(np.maximum(values, 0), decoding)
    return _newton(log, _highest(log[2:-2, 2:-2]), _wide, decoding)


def _highest(values):
    row, column = np.unravel_index(values.argmax(), values.shape)
    return column, row


def _logarithm(values, decoding):
    """Of the blurred map [h + 4, w + 4], with two cells beyond each border."""
    kernel = decoding["blur_kernel"]
    padded = np.pad(values, kernel)
    blurred = cv2.GaussianBlur(padded, (kernel, kernel), decoding["blur_sigma"], borderType=cv2.BORDER_CONSTANT)
    highest = blurred[kernel:-kernel, kernel:-kernel].max()
    around = blurred[kernel - 2 : 2 - kernel, kernel - 2 : 2 - kernel]
    return np.log(np.maximum(around * values.max() / highest, 1e-10))


def _wide(v):
    xx, yy = (v[2, 0] - 2 * v[0, 0] + v[-2, 0]) / 4, (v[0, 2] - 2 * v[0, 0] + v[0, -2]) / 4
    return xx, yy, (v[1, 1] + v[-1, -1] - v[-1, 1] - v[1, -1]) / 4


def _near(v):
    xx, yy = v[1, 0] - 2 * v[0, 0] + v[-1, 0], v[0, 1] - 2 * v[0, 0] + v[0, -1]
    sides = v[1, 0] + v[-1, 0] + v[0, 1] + v[0, -1]
    return xx, yy, (v[1, 1] + v[-1, -1] + 2 * v[0, 0] - sides) / 2


def _newton(log, cell, curvatures, decoding):
    column, row = cell
    height, width = log.shape[0] - 4, log.shape[1] - 4
    around = range(-2, 3)
    step = np.zeros(2)
    for _ in range(decoding["border_rounds"]):
        columns = _loss(column, width, step[0], decoding)
        rows = _loss(row, height, step[1], decoding)
        v = {(x, y): log[row + 2 + y, column + 2 + x] - columns[x] - rows[y] for x in around for y in around}
        xx, yy, xy = curvatures(v)
        step = np.zeros(2)
        if xx < 0 and xx * yy - xy * xy > 1e-9:
            slope = np.array([(v[1, 0] - v[-1, 0]) / 2, (v[0, 1] - v[0, -1]) / 2])
            step = np.clip(np.linalg.solve([[xx, xy], [xy, yy]], -slope), -2, 2)
    return np.array(cell) + step


def _loss(cell, size, step, decoding):
    """By offset from the cell: what the border takes from the logarithm of the blurred peak, along one axis."""
    half = decoding["blur_kernel"] // 2
    blur = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * decoding["blur_sigma"] ** 2))
    loss = {}
    for offset in range(-2, 3):
        cells = offset + np.arange(-half, half + 1)
        peak = np.exp(-((cells - step) ** 2) / (2 * decoding["border_sigma"] ** 2))
        inside = (cell + cells >= 0) & (cell + cells < size)
        loss[offset] = np.log(max((blur * peak * inside).sum(), 1e-37)) - np.log(max((blur * peak).sum(), 1e-37))
    return loss
