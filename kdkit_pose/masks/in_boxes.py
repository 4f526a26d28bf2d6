"""Masks of the persons in a picture's boxes, for a picture that is no data set's."""

import numpy as np
import numpy.typing as npt
import torch

from kdkit_pose.data.masks import EncodedMask, encode_mask
from kdkit_pose.data.normalize import network_input
from kdkit_pose.evaluation.modes import evaluating
from kdkit_pose.geometry import box_to_center_scale
from kdkit_pose.masks.persons import draw_box
from kdkit_pose.masks.place import place_mask
from kdkit_pose.masks.predictor import MaskPredictor


def masks_in_boxes(
    predictor: MaskPredictor,
    picture: npt.NDArray[np.uint8],
    boxes: npt.NDArray[np.float64],
    *,
    batch_size: int = 64,
) -> list[EncodedMask | None]:
    """Predict the mask of the person in each box, where the predictor is; as `predict_masks` does for a data set.

    Args:
        predictor: The network.
        picture: RGB uint8 [H, W, 3].
        boxes: [N, 4], left, top, width and height in pixels of the picture; none empty.
        batch_size: Persons at a time.

    Returns:
        For each box its mask in the picture, None where the predictor finds nobody.
    """
    size = (picture.shape[1], picture.shape[0])
    width, height = predictor.input_size
    matrices = [predictor.codec.affine(*box_to_center_scale(box, width / height)) for box in boxes]
    where = next(predictor.parameters()).device
    masks: list[EncodedMask | None] = []
    with evaluating(predictor):
        for first in range(0, len(boxes), batch_size):
            rows = range(first, min(first + batch_size, len(boxes)))
            crops = [network_input(picture, matrices[row], predictor.input_size) for row in rows]
            drawn = [draw_box(boxes[row], matrices[row], predictor.input_size) for row in rows]
            seen = [torch.from_numpy(np.stack(part)).to(where) for part in (crops, drawn)]
            probability = predictor.probability(seen[0], seen[1][:, None])[:, 0].float().cpu().numpy()
            for row, crop in zip(rows, probability, strict=True):
                placed = place_mask(crop, matrices[row], size, predictor.threshold)
                masks.append(encode_mask(placed, *size))
    return masks
