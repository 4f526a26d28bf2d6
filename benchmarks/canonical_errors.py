"""How far a canonical cache's maps are from the teacher's own maps of the views, for canonical_study.py.

Looked at are the maps of visible keypoints whose true map has a peak of 0.2 or more; the others say little of
where a keypoint is. `share` is how many of the visible ones these are. `outside` is how many of the visible
keypoints lie outside of the canonical map, where it can only be 0, and `cells_outside` how many of a view's cells.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from kdkit import Binarize, Teacher
from kdkit.cache import warp_maps
from kdkit_pose import CocoKeypoints
from kdkit_pose.data import Augment
from kdkit_pose.data.collating import collate

NONE = {"half_body_probability": 0.0, "scale_factor": 0.0, "rotation_probability": 0.0, "flip_probability": 0.0}
LEAST_PEAK = 0.2
BATCH = 64


class TrueMaps(Teacher):
    """The ground truth's maps as a teacher that is never wrong: what is left is the warp's own error."""

    name, reads, outputs = "truth", ("heatmap",), ("heatmap",)

    def targets(self, batch):  # type: ignore[no-untyped-def]
        return {"heatmap": batch["heatmap"]}

    def fingerprint(self) -> str:
        return "the ground truth's maps"


def variations(whole: Augment) -> dict[str, Augment]:
    """Each kind of variation alone, as far as ``whole`` has it, and all together."""
    parts = {
        "mirrored": {"flip_probability": 1.0},
        "rotated": {"rotation_probability": 1.0, "rotation_factor": whole.rotation_factor},
        "zoomed": {"scale_factor": whole.scale_factor},
        "half bodies": {"half_body_probability": 1.0, "half_body_minimum": whole.half_body_minimum},
    }
    if not whole.half_body_probability:
        del parts["half bodies"]
    return {name: Augment(**NONE | part) for name, part in parts.items()} | {"all": whole}  # type: ignore[arg-type]


def map_errors(
    data: CocoKeypoints, augment: Augment, live: Teacher, canonical: Teacher, *, persons: int, views: int
) -> dict[str, float | None]:
    """What differs between a live teacher's maps of ``views`` views and a canonical one's.

    Returns:
        ``mean`` and ``mean_p95``: of each map the mean of |canonical - live| over its cells, as a share of the
        live map's peak. ``largest`` and ``largest_p95``: of each map the largest. ``cells`` and ``cells_p95``: how
        far the decoded keypoints are apart, in cells. ``iou`` and ``iou_p5``: of the discs binarized at 0.5, where
        there is one. Each is the mean, or a percentile, over all maps; None over no map.
    """
    data.augment = augment
    found: dict[str, list[Tensor]] = {}
    for batch in _views(data, min(persons, len(data)), views):
        with torch.inference_mode():
            mine, theirs = (teacher.targets(batch)["heatmap"] for teacher in (canonical, live))
        for name, values in _compare(data, batch, mine, theirs).items():
            found.setdefault(name, []).append(values)
    of = {name: torch.cat(parts).double() for name, parts in found.items()}
    figures = {name: float(values.mean()) if len(values) else None for name, values in of.items()}
    for name, percentile in {"mean": 95, "largest": 95, "cells": 95, "iou": 5}.items():
        worst = float(of[name].quantile(percentile / 100)) if len(of[name]) else None
        figures[f"{name}_p{percentile}"] = worst
    return figures


def _views(data: CocoKeypoints, persons: int, views: int) -> Iterator[dict[str, Tensor]]:
    pairs = [(row, view) for view in range(views) for row in range(persons)]
    for start in range(0, len(pairs), BATCH):
        yield collate(data.__getitems__(pairs[start : start + BATCH]))


def _compare(data: CocoKeypoints, batch: dict[str, Tensor], mine: Tensor, theirs: Tensor) -> dict[str, Tensor]:
    peak, visible = theirs.amax((-2, -1)), batch["visible"] > 0
    seen = visible & (peak >= LEAST_PEAK)
    apart = ((mine - theirs).abs() / peak.clamp(min=LEAST_PEAK)[..., None, None]).flatten(2)
    points, true_points = (data.codec.decode(maps)[0] for maps in (mine, theirs))
    distance = ((points - true_points) / points.new_tensor(data.codec.cell_size)).norm(dim=-1)
    one, other = (Binarize(0.5)(maps).flatten(2) for maps in (mine, theirs))
    union = torch.maximum(one, other).sum(-1)
    overlap = torch.minimum(one, other).sum(-1) / union.clamp(min=1)
    # Where the canonical map reaches to, seen from the view.
    reach = warp_maps(torch.ones_like(mine[:, :1]), batch["warp"])
    return {
        "mean": apart.mean(-1)[seen],
        "largest": apart.amax(-1)[seen],
        "cells": distance[seen],
        "iou": overlap[seen & (union > 0)],
        "share": seen[visible].float(),
        "outside": 1 - _reached(data, batch)[visible].float(),
        "cells_outside": 1 - reach.mean((1, 2, 3)),
    }


def _reached(data: CocoKeypoints, batch: dict[str, Tensor]) -> Tensor:
    """Which keypoints [B, K] lie in the canonical map."""
    points = batch["keypoints"] / batch["keypoints"].new_tensor(data.codec.cell_size)
    there = points @ batch["warp"][:, :, :2].mT + batch["warp"][:, None, :, 2]
    last = there.new_tensor(data.codec.heatmap_size) - 1
    return ((there >= 0) & (there <= last)).all(-1)
