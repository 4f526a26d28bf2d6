"""COCO's keypoint metrics."""

import contextlib
import io
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
from pycocotools.coco import COCO as CocoDataset
from pycocotools.cocoeval import COCOeval

from kdkit.errors import ConfigurationError
from kdkit_pose.data.categories import person_categories
from kdkit_pose.evaluation.annotations import Annotations, indexed, load_annotations
from kdkit_pose.evaluation.crowd_index import crowd_levels
from kdkit_pose.evaluation.precision import Detections, average_precision
from kdkit_pose.evaluation.results import check_results, read_results
from kdkit_pose.skeleton import COCO, Skeleton

Boxes = Literal["ground truth", "detector"]


class Metrics(TypedDict):
    """Average precision and recall in 0..1, and where the persons' boxes came from.

    ``AP`` and ``AR`` are means over the OKS thresholds 0.50 to 0.95, ``AP50`` is at 0.5, ``APM`` of medium
    and ``APL`` of large persons. A figure is None (null in JSON) where the ground truth has no person that it
    could be of, and those of medium and large persons where the ground truth does not say the persons' areas.

    ``AP_easy``, ``AP_medium`` and ``AP_hard`` are there for ground truth with a ``crowdIndex``, such as
    CrowdPose's; see :func:`kdkit_pose.evaluation.crowd_levels`.
    """

    AP: float | None
    AP50: float | None
    AP75: float | None
    APM: float | None
    APL: float | None
    AR: float | None
    AR50: float | None
    AR75: float | None
    ARM: float | None
    ARL: float | None
    boxes: Boxes
    AP_easy: NotRequired[float | None]
    AP_medium: NotRequired[float | None]
    AP_hard: NotRequired[float | None]


def coco_metrics(
    annotations: Annotations,
    results: Sequence[Mapping[str, Any]] | str | Path,
    *,
    skeleton: Skeleton = COCO,
    boxes: Boxes,
) -> Metrics:
    """Score keypoint results against their ground truth, with pycocotools.

    Args:
        annotations: A COCO keypoint file, its content, or a loaded pycocotools data set. All its images
            count: those without a result cost recall.
        results: Dictionaries of ``image_id``, ``category_id``, ``keypoints`` (x, y in pixels of the picture,
            score) and ``score``, or a results file. None at all is a score of 0.
        skeleton: Gives the OKS sigmas.
        boxes: Where the boxes of the top-down crops came from; passed on, for an AP says little without it.

    Raises:
        DataError: A file cannot be read, results do not fit the ground truth, or it has a ``crowdIndex`` and
            several categories of persons.
        ConfigurationError: ``boxes`` is neither of the two.
    """
    if boxes not in ("ground truth", "detector"):
        raise ConfigurationError(f"boxes must be 'ground truth' or 'detector', found {boxes!r}")
    truth = load_annotations(annotations, skeleton)
    levels = crowd_levels(truth.dataset["images"])
    evaluation = evaluate_results(truth, results, skeleton)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    # COCOeval's way to say that there was nothing to find is -1, which as a number would only mislead.
    figures = [float(value) if value >= 0 else None for value in evaluation.stats]
    ap, ap50, ap75, apm, apl, ar, ar50, ar75, arm, arl = figures
    if any(annotation.get("area_from_box") for annotation in truth.dataset["annotations"]):
        apm = apl = arm = arl = None
    metrics = Metrics(
        AP=ap,
        AP50=ap50,
        AP75=ap75,
        APM=apm,
        APL=apl,
        AR=ar,
        AR50=ar50,
        AR75=ar75,
        ARM=arm,
        ARL=arl,
        boxes=boxes,
    )
    if levels is not None:
        judged = Detections.of(evaluation)
        easy, medium, hard = (_precision(judged, ids) for ids in (levels.easy, levels.medium, levels.hard))
        metrics.update({"AP_easy": easy, "AP_medium": medium, "AP_hard": hard})
    return metrics


def evaluate_results(
    truth: CocoDataset, results: Sequence[Mapping[str, Any]] | str | Path, skeleton: Skeleton
) -> COCOeval:
    """COCOeval of ``results``, a list or a file, evaluated picture by picture but not yet accumulated.

    Raises:
        DataError: The file cannot be read, or results do not fit the ground truth.
    """
    if isinstance(results, str | Path):
        source = f"results file {results}"
        results = read_results(results)
    else:
        source = "the results given"
    persons = sorted(person_categories(truth.dataset, "the ground truth"))
    check_results(results, skeleton, truth.imgs.keys(), persons, source)
    if 0 in truth.anns:
        # COCOeval takes a match with annotation 0 for none.
        numbered = [{**one, "id": number} for number, one in enumerate(truth.dataset["annotations"], start=1)]
        truth = indexed({**truth.dataset, "annotations": numbered})
    found = indexed(
        {
            "images": truth.dataset["images"],
            "categories": truth.dataset["categories"],
            "annotations": [_as_annotation(index, result) for index, result in enumerate(results, start=1)],
        }
    )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.params.catIds = persons
        evaluation.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
        evaluation.evaluate()
    return evaluation


def _precision(judged: Detections, picture_ids: Collection[int]) -> float | None:
    """AP over some of the pictures; None where they show nobody."""
    counts = np.array([picture in picture_ids for picture in judged.picture_ids], dtype=np.float64)
    ap = average_precision(judged, counts)
    return None if math.isnan(ap) else ap


def _as_annotation(index: int, result: Mapping[str, Any]) -> dict[str, Any]:
    """What pycocotools' ``loadRes`` makes of a result; that itself cannot load an empty list."""
    x, y = result["keypoints"][0::3], result["keypoints"][1::3]
    width, height = max(x) - min(x), max(y) - min(y)
    return {
        "id": index,
        "image_id": result["image_id"],
        "category_id": result["category_id"],
        "keypoints": list(result["keypoints"]),
        "score": result["score"],
        "bbox": [min(x), min(y), width, height],
        "area": width * height,
    }
