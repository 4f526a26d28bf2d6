"""A picture of what networks found, beside the truth."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from mean_iou import classes_of
from person_masks import MEAN, STD, Array, PersonMasks
from torch import Tensor, nn


def draw_strips(path: Path, data: PersonMasks, networks: Mapping[str, nn.Module], rows: int = 6) -> None:
    """Write a grid of picture, truth and what each network found, its rows spread evenly over the data."""
    places = np.linspace(0, len(data) - 1, min(rows, len(data)), dtype=int)
    batch = torch.utils.data.default_collate([data[int(place), 0] for place in places])
    image, label, known = batch["image"], batch["label"], batch["known"][:, 0]
    pictures = [_enlarge(one.numpy().transpose(1, 2, 0) * STD + MEAN) for one in image]
    columns = {"picture": pictures, "truth": list(map(_mark, pictures, label, known))}
    for name, network in networks.items():
        columns[name] = list(map(_mark, pictures, classes_of(network, image), torch.ones_like(known)))
    height = 2.0 * len(image) * data.size[1] / data.size[0] + 0.25  # inches
    figure = Figure((2.0 * len(columns), height), dpi=110)
    figure.subplots_adjust(0, 0, 1, 1 - 0.25 / height, wspace=0.03, hspace=0.03)
    grid = figure.subplots(len(image), len(columns), squeeze=False)
    for panels, (name, cells) in zip(grid.T, columns.items(), strict=True):
        panels[0].set_title(name, fontsize=9, pad=4)
        for axes, cell in zip(panels, cells, strict=True):
            axes.imshow(cell, aspect="auto")
            axes.set_axis_off()
    figure.savefig(path)


def _enlarge(layer: Array) -> Array:
    large = cv2.resize(layer.astype(np.float32), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0, 1))


def _mark(picture: Array, found: Tensor, sure: Tensor) -> Array:
    """Darken what is no person, draw a contour around people, and make grey what is not sure."""
    person = _enlarge(found.numpy()) >= 0.5
    marked = np.where(person[..., None], picture, 0.35 * picture)
    marked = np.where(_enlarge(sure.numpy())[..., None] >= 0.5, marked, 0.5 * picture + 0.3)
    contours, _ = cv2.findContours(person.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    shown = (marked * 255).astype(np.uint8)
    return np.asarray(cv2.drawContours(shown, contours, -1, (90, 225, 255), 2, cv2.LINE_AA))
