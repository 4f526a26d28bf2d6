"""A stand-in for the training pipeline of mmpose, written from scratch after its documentation (version 1.3).

Step by step and person by person as there, with its defaults: the annotation is unpickled and gets a copy of what
is known of the skeleton; the picture's file is decoded; box to centre and scale; the picture is mirrored as a
view, which the warp has to copy; half body; shift, scale and rotation; the affine map from three points, warp, and
a patch of a Gaussian for each keypoint. What a loader hands over are these samples, in bytes: stacking and
normalizing is the preprocessor's, on the training's device.

Where mmpose is slower than need be for no result (scipy's truncated normal, registries, structures with checked
fields), this is not: what is compared with it is not flattered. benchmarks/mmpose_loader.py measures both in one
run, and compares what comes out of them.
"""

import copy
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from kdkit_pose.skeleton import COCO

MEAN = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
STD = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
UPPER = list(COCO.upper_body)
KNOWN = {
    "upper_body_ids": UPPER,
    "lower_body_ids": [joint for joint in range(len(COCO.keypoints)) if joint not in UPPER],
    "flip_pairs": [list(pair) for pair in enumerate(COCO.flip_permutation)],
    "flip_indices": list(COCO.flip_permutation),
    "skeleton_links": [tuple(limb) for limb in COCO.limbs],
    "keypoint_weights": np.ones(len(COCO.keypoints), np.float32),
}
"""What every sample gets a copy of."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn for a sample; the default changes nothing.

    Attributes:
        flip: whether it is mirrored.
        half: ``"upper"`` or ``"lower"`` where one half of the body is wanted.
        shift: of the centre [2], in parts of the scale.
        zoom: what the scale is multiplied by.
        rotation: in degrees.
    """

    flip: bool = False
    half: str | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    rotation: float = 0.0


class ReferencePipeline:
    """Persons of a COCO file, augmented, as samples and as batches of what a network learns from.

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
        sigma: int = 2,
        seed: int = 0,
    ) -> None:
        entries = {entry["id"]: entry for entry in content["images"]}
        self._persons = [
            pickle.dumps(_record(person, entries[person["image_id"]], images))
            for person in content["annotations"]
            if person.get("num_keypoints", 1) and not person.get("iscrowd")
        ]
        self._size, self._sigma = input_size, sigma
        self._draw = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._persons)

    def samples(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return what a loader hands over for these persons."""
        return [self.sample(row) for row in rows]

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return ``image`` [B, 3, H, W], ``heatmap`` [B, 17, h, w] and ``weight`` [B, 17] of these persons, as its
        preprocessor makes them."""
        named = ("image", "heatmap", "weight")
        batch: dict[str, Tensor] = default_collate(
            [{name: sample[name] for name in named} for sample in self.samples(rows)]
        )
        batch["image"] = (batch["image"][:, [2, 1, 0]].float() - MEAN) / STD
        return batch

    def sample(self, row: int, drawn: Drawn | None = None) -> dict[str, Any]:
        """Return one person: ``image`` [3, H, W] in bytes, BGR, ``heatmap``, ``weight``, and all that is known."""
        sample = pickle.loads(self._persons[row])
        sample |= {name: copy.deepcopy(value) for name, value in KNOWN.items()}
        content = np.frombuffer(Path(sample["path"]).read_bytes(), np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
        box, keypoints, visible = sample["box"], sample["keypoints"], sample["visible"]
        center, scale = (box[2:] + box[:2]) * 0.5, (box[2:] - box[:2]) * 1.25
        drawn = drawn or self._drawn(int(visible.sum()))
        if drawn.flip:
            width = picture.shape[1]
            picture = np.flip(picture, axis=1)
            keypoints, visible = (values.take(sample["flip_indices"], axis=0) for values in (keypoints, visible))
            keypoints[:, 0] = width - 1 - keypoints[:, 0]
            center[0] = width - 1 - center[0]
        if drawn.half is not None:
            joints = _half(sample, visible, drawn.half)
            center, scale = _around(keypoints[joints]) if joints else (center, scale)
        center, scale = center + np.array(drawn.shift) * scale, fixed_aspect(scale * drawn.zoom, self._size)
        matrix = three_point_affine(center, scale, drawn.rotation, self._size)
        image = cv2.warpAffine(picture, matrix, self._size, flags=cv2.INTER_LINEAR)
        keypoints = cv2.transform(keypoints[None], matrix)[0]
        heatmap, weight = gaussian_patches(keypoints, visible, self._size, self._sigma)
        sample["image"] = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
        sample["heatmap"], sample["weight"] = torch.from_numpy(heatmap), torch.from_numpy(weight)
        return sample  # type: ignore[no-any-return]

    def _drawn(self, labelled: int) -> Drawn:
        draw = self._draw
        flip = draw.choice(["horizontal", None], p=[0.5, 0.5]) is not None
        half = None
        if labelled >= 9 and draw.random() <= 0.3:
            half = "upper" if draw.random() < 0.7 else "lower"
        across, down, zoom, rotation = (self._truncated() for _ in range(4))
        moved, turned = draw.random() < 0.3, draw.random() < 0.6
        shift = (0.16 * across, 0.16 * down) if moved else (0.0, 0.0)
        return Drawn(flip, half, shift, 1 + 0.5 * zoom, 80 * rotation if turned else 0.0)

    def _truncated(self) -> float:
        """Return a normal number between -1 and 1."""
        while True:
            drawn = float(self._draw.standard_normal())
            if abs(drawn) <= 1:
                return drawn


def _record(person: Mapping[str, Any], entry: Mapping[str, Any], images: Path) -> dict[str, Any]:
    """Return a person as kept: the box's corners [4], clipped to the picture, keypoints [17, 2], and which of them
    are labelled [17]."""
    left, top, width, height = person["bbox"]
    corners = np.array([left, top, left + width, top + height])
    limits = np.array([entry["width"] - 1, entry["height"] - 1] * 2)
    joints = np.array(person["keypoints"], np.float32).reshape(-1, 3)
    return {
        "path": str(images / entry["file_name"]),
        "box": np.clip(corners, 0, limits).astype(np.float32),
        "keypoints": joints[:, :2].copy(),
        "visible": np.minimum(1, joints[:, 2]),
        "annotation": dict(person),
    }


def _half(sample: Mapping[str, Any], visible: Any, wanted: str) -> list[int] | None:
    upper = [joint for joint in sample["upper_body_ids"] if visible[joint]]
    lower = [joint for joint in sample["lower_body_ids"] if visible[joint]]
    if len(lower) < 3:
        return upper if len(upper) >= 2 else None
    return lower if len(upper) < 2 or wanted == "lower" else upper


def _around(keypoints: Any) -> tuple[Any, Any]:
    """Return the centre and the scale of one half."""
    return keypoints.mean(axis=0), (keypoints.max(axis=0) - keypoints.min(axis=0)) * 1.5


def fixed_aspect(scale: Any, size: tuple[int, int]) -> Any:
    """Return the scale with its shorter side lengthened to the input's aspect."""
    width, height = scale
    aspect = size[0] / size[1]
    return np.array([width, width / aspect] if width > height * aspect else [height * aspect, height])


def three_point_affine(center: Any, scale: Any, rotation: float, size: tuple[int, int]) -> Any:
    """Return the map [2, 3] that takes the crop's centre, and two points a quarter turn apart, to the input's."""
    angle = np.deg2rad(rotation)
    along = np.array([scale[0] * -0.5, 0.0])
    turned = np.array([along[0] * np.cos(angle), along[0] * np.sin(angle)])
    there = np.array([size[0] * -0.5, 0.0])
    source, target = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    middle = np.array([size[0] * 0.5, size[1] * 0.5])
    source[0], source[1], target[0], target[1] = center, center + turned, middle, middle + there
    source[2], target[2] = _third(source[0], source[1]), _third(target[0], target[1])
    return cv2.getAffineTransform(source, target)


def _third(first: Any, second: Any) -> Any:
    direction = first - second
    return second + np.array([-direction[1], direction[0]])


def gaussian_patches(keypoints: Any, visible: Any, size: tuple[int, int], sigma: int) -> tuple[Any, Any]:
    """Return heatmaps [K, h, w] and weights [K], keypoint by keypoint."""
    width, height = size[0] // 4, size[1] // 4
    heatmap = np.zeros((len(keypoints), height, width), np.float32)
    weight = visible.copy()
    radius = sigma * 3
    x = np.arange(0, 2 * radius + 1, 1, np.float32)
    y = x[:, None]
    for joint in range(len(keypoints)):
        if visible[joint] < 0.5:
            continue
        column, row = (keypoints[joint] / 4 + 0.5).astype(np.int64)
        left, top, right, bottom = column - radius, row - radius, column + radius + 1, row + radius + 1
        if left >= width or top >= height or right < 0 or bottom < 0:
            weight[joint] = 0
            continue
        patch = np.exp(-((x - radius) ** 2 + (y - radius) ** 2) / (2 * sigma**2))
        columns, rows = slice(max(0, left), min(width, right)), slice(max(0, top), min(height, bottom))
        part = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        np.maximum(heatmap[joint, rows, columns], part, out=heatmap[joint, rows, columns])
    return heatmap, weight
