"""The persons found in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.evaluation import oks_nms
from kdkit_pose.skeleton import Skeleton

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Poses:
    """N persons with K keypoints each; places are in pixels of the picture.

    Attributes:
        keypoints: [N, K, 3], x, y and score. A score is the height of the heatmap's peak, about 0 to 1.
        scores: [N], of the whole pose: the box's score times the mean of the keypoints' scores above 0.2.
        boxes: [N, 4], left, top, width and height, as they were given.
        box_scores: [N], the detector's; 1 without one.
        centers: [N, 2], the middles of the crops that the network saw.
        scales: [N, 2], the crops' widths and heights.
        heatmaps: [N, K, h, w] float32, what was decoded; None where it was not asked for.
        masks: N of them, what a network that reads masks was given, None for a mask of ones; None for a network
            that reads none.
    """

    keypoints: Array
    scores: Array
    boxes: Array
    box_scores: Array
    centers: Array
    scales: Array
    heatmaps: npt.NDArray[np.float32] | None = None
    masks: tuple[EncodedMask | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: Sequence[int]) -> "Poses":
        """The poses in these rows, in their order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Poses(
            keypoints=self.keypoints[chosen],
            scores=self.scores[chosen],
            boxes=self.boxes[chosen],
            box_scores=self.box_scores[chosen],
            centers=self.centers[chosen],
            scales=self.scales[chosen],
            heatmaps=None if self.heatmaps is None else self.heatmaps[chosen],
            masks=None if self.masks is None else tuple(self.masks[row] for row in chosen),
        )

    def distinct(self, skeleton: Skeleton, threshold: float = 0.9) -> list[int]:
        """The rows that OKS-NMS keeps, as evaluation does; see :func:`kdkit_pose.evaluation.oks_nms`."""
        rows = [{**result, "row": row} for row, result in enumerate(self.results(image_id=0))]
        return [int(result["row"]) for result in oks_nms(rows, skeleton.sigmas, threshold)]

    def results(self, image_id: int, file_name: str | None = None, category_id: int = 1) -> list[dict[str, Any]]:
        """COCO results, one a pose: ``image_id``, ``category_id``, ``keypoints`` (3 K numbers), ``score``.

        Beside COCO's fields there are the ``bbox`` (left, top, width, height) and the crop's ``center`` and
        ``scale``, and the picture's ``file_name`` where it is given.
        """
        name = {} if file_name is None else {"file_name": file_name}
        return [
            {
                "image_id": image_id,
                **name,
                "category_id": category_id,
                "keypoints": self.keypoints[row].ravel().tolist(),
                "score": float(self.scores[row]),
                "bbox": self.boxes[row].tolist(),
                "center": self.centers[row].tolist(),
                "scale": self.scales[row].tolist(),
            }
            for row in range(len(self))
        ]
