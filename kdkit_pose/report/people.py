"""The same people as truth and networks have them, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from kdkit.errors import ConfigurationError
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.geometry import apply_affine
from kdkit_pose.report.canvas import panels, rasterize, show_crop
from kdkit_pose.report.crop import PersonCrop, person_crop
from kdkit_pose.report.figure import Figure
from kdkit_pose.report.skeletons import FAINT, draw_skeleton
from kdkit_pose.skeleton import Skeleton


def draw_people(
    dataset: CocoKeypoints,
    predictions: Mapping[str, Mapping[int, NDArray[Any]]],
    ids: Sequence[int],
    *,
    faint_below: float = 0.2,
    name: str = "people",
) -> Figure:
    """A row for each person; the truth in the first column, then what each run found.

    Args:
        dataset: The people, without augmentation.
        predictions: Keypoints [K, 3] (x and y in pixels of the picture, score) by annotation id, by run. A
            person that a run did not find is left without a skeleton.
        ids: Which annotations to draw, at least one.
        faint_below: The score below which a keypoint is drawn faintly.
        name: The picture's name.

    Raises:
        ConfigurationError: No id, one that the data set does not have, keypoints of another shape, or a data
            set that cannot be drawn (see :func:`kdkit_pose.report.crop.person_crop`).
    """
    rows = _rows(dataset, ids)
    truths = {annotation["id"]: annotation["keypoints"] for annotation in dataset.coco_dict()["annotations"]}
    width, height = dataset.codec.input_size
    drawing, grid = panels(["truth", *predictions], len(rows), width / height)
    for (annotation_id, index), panel in zip(rows.items(), grid, strict=True):
        crop = person_crop(dataset, index)
        _draw_truth(panel[0], crop, dataset.skeleton, truths[annotation_id])
        for axes, (run, found) in zip(panel[1:], predictions.items(), strict=True):
            show_crop(axes, crop.image)
            if annotation_id in found:
                keypoints = _checked(found[annotation_id], dataset.skeleton, run)
                _draw_prediction(axes, crop, dataset.skeleton, keypoints, faint_below)
    outline = " with the outline of the person's mask" if dataset.has_masks else ""
    caption = (
        f"Held-out people, a row each: the truth{outline}, then what each network "
        "found. The person's own left side is blue, the right orange. Rings are keypoints that are labelled "
        f"but hidden from sight; keypoints that a network gives a score below {faint_below:g} are faint."
    )
    return Figure(name, caption, rasterize(drawing))


def _rows(dataset: CocoKeypoints, ids: Sequence[int]) -> dict[int, int]:
    """The places in the data set by annotation id."""
    places = {annotation_id: index for index, annotation_id in enumerate(dataset.annotation_ids)}
    absent = [annotation_id for annotation_id in ids if annotation_id not in places]
    if absent or not ids:
        found = f"{absent[0]}, which the data set does not have" if absent else "none"
        raise ConfigurationError(f"ids must name annotations of the data set, found {found}: choose from its own")
    return {annotation_id: places[annotation_id] for annotation_id in ids}


def _checked(keypoints: NDArray[Any], skeleton: Skeleton, run: str) -> NDArray[np.float64]:
    result = np.asarray(keypoints, dtype=np.float64)
    if result.shape != (skeleton.num_keypoints, 3):
        raise ConfigurationError(
            f"predictions of {run!r} must be keypoints [{skeleton.num_keypoints}, 3] (x, y, score), found "
            f"{list(result.shape)}"
        )
    return result


def _draw_truth(axes: Axes, crop: PersonCrop, skeleton: Skeleton, flat: Sequence[float]) -> None:
    keypoints = np.asarray(flat, dtype=np.float64).reshape(-1, 3)
    show_crop(axes, crop.image)
    if crop.mask is not None and crop.mask.min() < 0.5 < crop.mask.max():
        axes.contour(crop.mask, levels=[0.5], colors=["black"], linewidths=[1.8], alpha=0.5)
        axes.contour(crop.mask, levels=[0.5], colors=["#ffe14d"], linewidths=[1.0])
    points, visibility = apply_affine(crop.matrix, keypoints[:, :2]), keypoints[:, 2].astype(np.int64)
    draw_skeleton(axes, skeleton, points, np.isin(visibility, (1, 2)), hollow=np.isin(visibility, 1))


def _draw_prediction(
    axes: Axes, crop: PersonCrop, skeleton: Skeleton, keypoints: NDArray[np.float64], faint_below: float
) -> None:
    known = np.asarray(np.isfinite(keypoints).all(axis=1))
    keypoints = np.where(known[:, None], keypoints, 0.0)
    points = apply_affine(crop.matrix, keypoints[:, :2])
    strength = np.where(keypoints[:, 2] < faint_below, FAINT, 1.0)
    draw_skeleton(axes, skeleton, points, known, strength=strength)
