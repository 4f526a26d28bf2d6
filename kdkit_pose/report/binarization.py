"""What a transform makes of heatmaps."""

from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

from kdkit import TargetTransform
from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.report.canvas import panels, rasterize, show_crop
from kdkit_pose.report.crop import person_crop
from kdkit_pose.report.figure import Figure


def draw_binarization(
    dataset: CocoKeypoints,
    index: int,
    transform: TargetTransform,
    teacher_heatmap: NDArray[Any] | None = None,
    *,
    name: str = "binarization",
) -> Figure:
    """One person's heatmaps before and after a transform, each the maximum over the keypoints.

    Args:
        dataset: The people, without augmentation.
        index: Which one.
        transform: The transform, such as ``Binarize(0.5)``.
        teacher_heatmap: [K, h, w], what a teacher gives for this person; left out without it.
        name: The picture's name.

    Raises:
        ConfigurationError: The heatmap is of another shape than the data set's, or the data set cannot be drawn
            (see :func:`kdkit_pose.report.crop.person_crop`).
    """
    crop = person_crop(dataset, index)
    sources = {"ground truth": crop.heatmap}
    if teacher_heatmap is not None:
        if teacher_heatmap.shape != crop.heatmap.shape:
            raise ConfigurationError(
                f"the teacher's heatmap must be of the data set's shape {list(crop.heatmap.shape)}, found "
                f"{list(teacher_heatmap.shape)}"
            )
        sources["teacher"] = teacher_heatmap.astype(np.float32)
    maps = {}
    for source, heatmap in sources.items():
        maps[source] = heatmap
        maps[f"{source} after {transform!r}"] = transform(torch.from_numpy(heatmap)[None])[0].numpy()
    height, width, _ = crop.image.shape
    drawing, grid = panels(["crop", *maps], 1, width / height)
    show_crop(grid[0][0], crop.image)
    for axes, heatmap in zip(grid[0][1:], maps.values(), strict=True):
        _overlay(axes, crop.image, heatmap, dataset.codec)
    caption = (
        f"What {transform!r} makes of the heatmaps of one person: the maximum over the keypoints, from 0 "
        "(the bare crop, in grey) to 1 (yellow), laid over the crop. Each square is a cell of the heatmap."
    )
    return Figure(name, caption, rasterize(drawing))


def _overlay(axes: Axes, image: NDArray[np.uint8], heatmap: NDArray[np.float32], codec: Codec) -> None:
    grey = image.mean(axis=2, keepdims=True) * 0.6
    show_crop(axes, np.repeat(grey, 3, axis=2).astype(np.uint8))
    values = np.clip(np.nan_to_num(heatmap.max(axis=0)), 0.0, 1.0)
    colours = colormaps["plasma"](values)
    # Steep at first, so that the faint foot of a peak is seen; nothing is laid over where there is nothing.
    colours[..., 3] = 0.9 * np.minimum(1.0, 2.5 * values)
    # A cell's centre lies at its size times its index, so the map begins half a cell outside of the crop.
    (width, height), (columns, rows) = codec.cell_size, codec.heatmap_size
    extent = (-width / 2, (columns - 0.5) * width, (rows - 0.5) * height, -height / 2)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(colours, extent=extent, interpolation="nearest", aspect="auto")
    axes.set(xlim=limits[0], ylim=limits[1])
