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
    """The point, in pixels of the input, and the score of one heatmap [h, w] whose peak is off the border."""
    step = {"msra": _quarter, "dark": _dark, "udp": _udp, "centroid": _centroid}[decoding["rule"]]
    return np.array(step(heatmap.astype(np.float64), decoding)) * decoding["cell_size"], max(heatmap.max(), 0)


def _quarter(values, decoding):
    x, y = _highest(values)
    slopes = values[y, x + 1] - values[y, x - 1], values[y + 1, x] - values[y - 1, x]
    return np.array([x, y]) + 0.25 * np.sign(slopes)


def _dark(values, decoding):
    return _newton(_logarithm(values, decoding), _highest(values), _wide)


def _udp(values, decoding):
    return _newton(_logarithm(values, decoding), _highest(values), _near)


def _centroid(values, decoding):
    log = _logarithm(np.maximum(values, 0), decoding)
    return _newton(log, _highest(log), _wide)


def _highest(values):
    row, column = np.unravel_index(values.argmax(), values.shape)
    return column, row


def _logarithm(values, decoding):
    size = (decoding["blur_kernel"],) * 2
    blurred = cv2.GaussianBlur(values, size, decoding["blur_sigma"], borderType=cv2.BORDER_CONSTANT)
    return np.log(np.maximum(blurred * values.max() / blurred.max(), 1e-10))


def _wide(v):
    xx, yy = (v[2, 0] - 2 * v[0, 0] + v[-2, 0]) / 4, (v[0, 2] - 2 * v[0, 0] + v[0, -2]) / 4
    return xx, yy, (v[1, 1] + v[-1, -1] - v[-1, 1] - v[1, -1]) / 4


def _near(v):
    xx, yy = v[1, 0] - 2 * v[0, 0] + v[-1, 0], v[0, 1] - 2 * v[0, 0] + v[0, -1]
    sides = v[1, 0] + v[-1, 0] + v[0, 1] + v[0, -1]
    return xx, yy, (v[1, 1] + v[-1, -1] + 2 * v[0, 0] - sides) / 2


def _newton(log, cell, curvatures):
    column, row = cell
    around = range(-2, 3)
    v = {(x, y): log[row + y, column + x] for x in around for y in around}
    xx, yy, xy = curvatures(v)
    if xx >= 0 or xx * yy - xy * xy <= 1e-9:
        return cell
    slope = np.array([(v[1, 0] - v[-1, 0]) / 2, (v[0, 1] - v[0, -1]) / 2])
    return np.array(cell) + np.clip(np.linalg.solve([[xx, xy], [xy, yy]], -slope), -2, 2)
