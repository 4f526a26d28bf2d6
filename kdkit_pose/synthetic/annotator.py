"""Annotations as people make them: joints a little off, joints left out, masks of a few straight lines."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from kdkit.errors import ConfigurationError
from kdkit.sampling import sample_generator
from kdkit_pose.data.rle import paint, parse_runs
from kdkit_pose.skeleton import COCO, Skeleton

Array = npt.NDArray[np.float64]

_FEWEST_CORNERS: Final = 3
_SMALLEST_PIECE: Final = 0.02  # of a mask; smaller pieces are not outlined


@dataclass(frozen=True)
class Annotator:
    """Turns exact annotations into such as COCO's, for what is said to help against noise and missing labels.

    What it does to an annotation is a function of the seed and the annotation's id alone.

    Args:
        jitter: of joints, in units of how far COCO's annotators are apart: by 1 the distance to the true joint
            has, over all, a root mean square of ``sigma * sqrt(area)``, which is what the OKS constants are
            (https://cocodataset.org/#keypoints-eval).
        unlabelled: the share of labelled joints that are left out, at random.
        raggedness: of masks: outlines become polygons whose corners leave at most this share of the mask's size
            (the root of its area) between the lines and the outline, and are then moved at random by up to half
            of that; 0 leaves masks as they are.
        seed: not negative.
        skeleton: whose constants are meant.

    Raises:
        ConfigurationError: an argument is out of its range.
    """

    jitter: float = 1.0
    unlabelled: float = 0.25
    raggedness: float = 0.04
    seed: int = 0
    skeleton: Skeleton = COCO

    def __post_init__(self) -> None:
        if not (0 <= self.jitter < math.inf and 0 <= self.unlabelled <= 1 and 0 <= self.raggedness < 1):
            raise ConfigurationError(
                "an annotator's jitter is 0 or more, unlabelled in 0..1 and raggedness in [0, 1), got "
                f"jitter={self.jitter}, unlabelled={self.unlabelled}, raggedness={self.raggedness}"
            )
        if self.seed < 0:
            raise ConfigurationError(f"seed must not be negative, got {self.seed}")

    def annotate(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return a COCO dictionary with every annotation redone; boxes, areas and all else stay.

        The boxes stay the exact ones, so that both versions show the same crops.
        """
        sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
        redone = [self.redo(one, *sizes[one["image_id"]]) for one in content["annotations"]]
        info = {**content.get("info", {}), "annotator": repr(self)}
        return {**content, "info": info, "annotations": redone}

    def redo(self, annotation: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
        """Return one annotation redone, in a picture of this size in pixels.

        Joints that leave the picture are put on its border, as an annotator would.
        """
        draw = sample_generator(self.seed, annotation["id"], 0)
        joints = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        # Each choice keeps its random numbers, whatever the others are.
        noise, chance = draw.standard_normal((len(joints), 2)), draw.random(len(joints))
        # A distance's mean square is the sum of both axes'.
        spread = self.jitter * np.array(self.skeleton.sigmas) * math.sqrt(annotation["area"] / 2)
        joints[:, :2] = np.clip(joints[:, :2] + noise * spread[:, None], 0, (width - 1, height - 1)).round(2)
        joints[(joints[:, 2] == 0) | (chance < self.unlabelled)] = 0
        redone = {**annotation, "keypoints": joints.ravel().tolist()}
        redone["num_keypoints"] = int(np.count_nonzero(joints[:, 2]))
        if self.raggedness and (polygons := self._outline(annotation["segmentation"], draw, width, height)):
            redone["segmentation"] = polygons
        return redone

    def _outline(
        self, segmentation: Mapping[str, Any], draw: np.random.Generator, width: int, height: int
    ) -> list[list[float]]:
        """The polygons [x, y, x, y, ...] that an annotator draws around a run-length encoded mask."""
        mask = np.ascontiguousarray(paint(parse_runs(segmentation["counts"], width * height), width, height))
        area = np.count_nonzero(mask)
        slack = self.raggedness * math.sqrt(area)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        polygons = []
        for contour in contours:
            corners = cv2.approxPolyDP(contour, slack, closed=True)[:, 0].astype(np.float64)
            corners += draw.uniform(-0.5, 0.5, corners.shape) * slack
            if len(corners) >= _FEWEST_CORNERS and cv2.contourArea(contour) >= _SMALLEST_PIECE * area:
                polygons.append(np.clip(corners, 0, (width, height)).round(2).ravel().tolist())
        return polygons
