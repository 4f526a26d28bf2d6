"""A stand-in for the training pipeline of mmpose, written from scratch after its documentation (version 1.3).

Step by step and person by person as there: decode the picture's file, box to centre and scale, mirror the whole
picture, half body, scale and rotation, the affine map from three points, warp, and a patch of a Gaussian for each
keypoint; then the batch is stacked and normalized in float. Where mmpose is slower than need be (a truncated
normal by scipy, copies of dictionaries, registries), this is not: what is compared with it is not flattered.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
UPPER = np.arange(17) < 11
MEAN = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
STD = torch.tensor([58.395, 57.12, 57.375])[:, None, None]


class ReferencePipeline:
    """Persons of a COCO file, augmented, as batches of what a network learns from.

    Args:
        content: the COCO file's content.
        images: the folder of the pictures.
        input_size: width and height.
        sigma: of the Gaussians, in heatmap pixels of 4 input pixels.
        seed: of what is drawn.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        images: Path,
        input_size: tuple[int, int],
        sigma: float = 2.0,
        seed: int = 0,
    ) -> None:
        names = {entry["id"]: images / entry["file_name"] for entry in content["images"]}
        self._persons = [
            (names[person["image_id"]], np.array(person["bbox"], dtype=np.float32), _joints(person))
            for person in content["annotations"]
            if person.get("num_keypoints", 1) and not person.get("iscrowd")
        ]
        self._size, self._sigma = input_size, sigma
        self._draw = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._persons)

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return ``image`` [B, 3, H, W], ``heatmap`` [B, 17, h, w] and ``weight`` [B, 17] of these persons."""
        batch: dict[str, Tensor] = default_collate([self.sample(row) for row in rows])
        # BGR to RGB and normalization are its preprocessor's, batch by batch.
        batch["image"] = (batch["image"][:, [2, 1, 0]].float() - MEAN) / STD
        return batch

    def sample(self, row: int) -> dict[str, Tensor]:
        """Return one person before the preprocessor: ``image`` is still uint8 BGR."""
        path, box, joints = self._persons[row]
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        center, scale = box[:2] + box[2:] / 2, box[2:] * 1.25
        keypoints, visible = joints[:, :2].copy(), joints[:, 2] > 0
        if self._draw.random() < 0.5:
            picture = cv2.flip(picture, 1)
            keypoints, visible = keypoints[FLIP], visible[FLIP]
            keypoints[:, 0] = picture.shape[1] - 1 - keypoints[:, 0]
            center[0] = picture.shape[1] - 1 - center[0]
        if visible.sum() > 8 and self._draw.random() < 0.3:
            center, scale = self._half_body(keypoints, visible, center, scale)
        scale = scale * np.clip(1 + 0.35 * self._draw.standard_normal(), 0.65, 1.35)
        turned = self._draw.random() < 0.6
        rotation = float(np.clip(45 * self._draw.standard_normal(), -90, 90)) if turned else 0.0
        matrix = three_point_affine(center, fixed_aspect(scale, self._size), rotation, self._size)
        image = cv2.warpAffine(picture, matrix, self._size, flags=cv2.INTER_LINEAR)
        keypoints = cv2.transform(keypoints[:, None], matrix)[:, 0]
        heatmap, weight = gaussian_patches(keypoints, visible, self._size, self._sigma)
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "heatmap": torch.from_numpy(heatmap),
            "weight": torch.from_numpy(weight),
        }

    def _half_body(self, keypoints: Any, visible: Any, center: Any, scale: Any) -> tuple[Any, Any]:
        upper, lower = keypoints[visible & UPPER], keypoints[visible & ~UPPER]
        chosen = upper if len(upper) > 2 and (self._draw.random() < 0.5 or len(lower) <= 2) else lower
        if len(chosen) < 3:
            return center, scale
        least, most = chosen.min(0), chosen.max(0)
        return (least + most) / 2, (most - least) * 1.5


def fixed_aspect(scale: Any, size: tuple[int, int]) -> Any:
    """Return the scale with its shorter side lengthened to the input's aspect."""
    width, height = scale
    aspect = size[0] / size[1]
    return np.array([width, width / aspect] if width > height * aspect else [height * aspect, height])


def three_point_affine(center: Any, scale: Any, rotation: float, size: tuple[int, int]) -> Any:
    """Return the map [2, 3] that takes the crop's centre, and two points a quarter turn apart, to the input's."""
    angle = np.deg2rad(rotation)
    along = np.array([0.0, scale[0] * -0.5])
    turned = np.array([-along[1] * np.sin(angle), along[1] * np.cos(angle)])
    there = np.array([0.0, size[0] * -0.5])
    source, target = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    middle = np.array([size[0] * 0.5, size[1] * 0.5])
    source[0], source[1], target[0], target[1] = center, center + turned, middle, middle + there
    source[2], target[2] = _third(source[0], source[1]), _third(target[0], target[1])
    return cv2.getAffineTransform(source, target)


def _third(first: Any, second: Any) -> Any:
    direction = first - second
    return second + np.array([-direction[1], direction[0]])


def gaussian_patches(keypoints: Any, visible: Any, size: tuple[int, int], sigma: float) -> tuple[Any, Any]:
    """Return heatmaps [K, h, w] and weights [K], keypoint by keypoint."""
    width, height = size[0] // 4, size[1] // 4
    heatmap = np.zeros((len(keypoints), height, width), np.float32)
    weight = visible.astype(np.float32)
    radius = int(sigma * 3)
    x = np.arange(0, 2 * radius + 1, 1, np.float32)
    patch = np.exp(-((x - radius) ** 2 + (x[:, None] - radius) ** 2) / (2 * sigma**2))
    for joint in range(len(keypoints)):
        if not visible[joint]:
            continue
        column, row = (keypoints[joint] / 4 + 0.5).astype(np.int64)
        left, top, right, bottom = column - radius, row - radius, column + radius + 1, row + radius + 1
        if left >= width or top >= height or right < 0 or bottom < 0:
            weight[joint] = 0
            continue
        columns, rows = slice(max(0, left), min(width, right)), slice(max(0, top), min(height, bottom))
        part = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        np.maximum(heatmap[joint, rows, columns], part, out=heatmap[joint, rows, columns])
    return heatmap, weight


def _joints(person: Mapping[str, Any]) -> Any:
    return np.array(person["keypoints"], dtype=np.float32).reshape(-1, 3)
