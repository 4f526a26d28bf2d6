"""Masks for the persons of a data set that have none."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError
from kdkit_pose.data import CocoKeypoints, PictureSource, loader
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.predicted_masks import PredictedMasks, content_digest
from kdkit_pose.evaluation.modes import evaluating
from kdkit_pose.masks.persons import Persons, annotated_boxes
from kdkit_pose.masks.place import place_mask
from kdkit_pose.masks.saving import LoadedPredictor
from kdkit_pose.skeleton import COCO, Skeleton


def predict_masks(
    loaded: LoadedPredictor,
    annotations: str | Path | Mapping[str, Any],
    images: str | Path | PictureSource,
    *,
    boxes: str | Path | Sequence[Mapping[str, Any]] | None = None,
    box_threshold: float = 0.0,
    skeleton: Skeleton = COCO,
    everyone: bool = False,
    batch_size: int = 64,
    workers: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> PredictedMasks:
    """Predict the mask of every person who has none in the annotations, or of a detector's boxes.

    Persons without a labelled keypoint get a mask too: teachers may want to see them. It runs where the
    predictor is.

    Args:
        loaded: The predictor, from `load`.
        annotations: A COCO keypoint file, or its content.
        images: As for `CocoKeypoints`.
        boxes: A detector's boxes, to predict masks in them, not in the annotations' boxes.
        box_threshold: The least score of a box.
        skeleton: The annotations' keypoints.
        everyone: Also persons with an annotated mask: `CocoKeypoints` never takes a predicted one for them, but
            the two can be compared.
        batch_size: Persons at a time.
        workers: Processes that read pictures.
        progress: Called with the number of persons done, and of all, after each batch.

    Raises:
        DataError: The data cannot be used, or everyone has a mask.
    """
    predictor = loaded.predictor
    data = CocoKeypoints(
        *(annotations, images),
        codec=predictor.codec,
        skeleton=skeleton,
        boxes=boxes,
        box_threshold=box_threshold,
        unlabelled="leave out" if boxes is not None else "keep",
        masks=boxes is None,
    )
    rows = [row for row, masked in enumerate(data.own_masks) if everyone or not masked]
    if not rows:
        raise DataError(
            f"all {len(data)} persons have an annotated mask, so there is nothing to predict; ask for everyone's "
            "(--all) to compare"
        )
    content = data.coco_dict()
    placed = annotated_boxes(content, data.annotation_ids) if boxes is None else _detected_boxes(boxes)
    sizes = {entry["id"]: (entry["width"], entry["height"]) for entry in content["images"]}
    where = next(predictor.parameters()).device
    masks: dict[int, Mapping[str, Any]] = {}
    with evaluating(predictor):
        for batch in loader(Persons(data, rows, placed), batch_size, workers=workers):
            seen = [batch[name].to(where) for name in predictor.inputs]
            probability = predictor.probability(*seen)[:, 0].float().cpu().numpy()
            host = {name: batch[name].numpy() for name in ("id", "image_id", "center", "scale")}
            for row, key in enumerate(host["id"].tolist()):
                matrix = predictor.codec.affine(host["center"][row], host["scale"][row])
                size = sizes[int(host["image_id"][row])]
                masks[key] = place_mask(probability[row], matrix, size, predictor.threshold)
            if progress is not None:
                progress(len(masks), len(rows))
    return PredictedMasks(
        source=loaded.source,
        annotations=content_digest(annotations),
        boxes=None if boxes is None else content_digest(boxes),
        segmentations=masks,
    )


def _detected_boxes(boxes: str | Path | Sequence[Mapping[str, Any]]) -> dict[int, npt.NDArray[np.float64]]:
    """A detector's boxes by their place in the list, checked when the data set read them."""
    rows = read_json(boxes)[0] if isinstance(boxes, str | Path) else boxes
    return {place: np.asarray(row["bbox"], dtype=np.float64) for place, row in enumerate(rows)}
