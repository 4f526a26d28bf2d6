"""The labelled persons of a COCO keypoint file with their crops: what the codecs' benchmarks go through."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kdkit_pose.codecs import Codec, create, names
from kdkit_pose.geometry import apply_affine, box_to_center_scale, clip_box

Array = npt.NDArray[np.float64]
SIZES = {"256x192": ((192, 256), 2.0), "128x96": ((96, 128), 2.0), "384x288": ((288, 384), 3.0)}
"""Inputs as the field writes them, height first, with (width, height) and sigma."""


@dataclass(frozen=True)
class Person:
    """One annotation.

    Attributes:
        image_id: the picture's.
        keypoints: [K, 2], pixels of the picture.
        visible: [K], above 0 where labelled.
        box: [4], left, top, width and height, clipped to the picture.
    """

    image_id: int
    keypoints: Array
    visible: Array
    box: Array

    def affine(self, codec: Codec) -> Array:
        """The map [2, 3] from the picture to the codec's input."""
        width, height = codec.input_size
        return codec.affine(*box_to_center_scale(self.box, width / height))


def read(path: Path) -> tuple[dict[str, Any], list[Person]]:
    """A file's content and its persons."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content, list(labelled_persons(content))


def labelled_persons(annotations: Mapping[str, Any]) -> Iterator[Person]:
    """Those of the training set: no crowds, an area, at least one labelled keypoint."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in annotations["images"]}
    for annotation in annotations["annotations"]:
        keypoints = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        if annotation["iscrowd"] or annotation["area"] <= 0 or not (keypoints[:, 2] > 0).any():
            continue
        box = clip_box(annotation["bbox"], *sizes[annotation["image_id"]])
        yield Person(annotation["image_id"], keypoints[:, :2], keypoints[:, 2], box)


def codecs_of_size(size: str) -> list[Codec]:
    """Every codec for one of SIZES."""
    return [create(name, *SIZES[size]) for name in names()]


def in_crops(codec: Codec, persons: list[Person]) -> Array:
    """The persons' keypoints [N, K, 2] in pixels of the input."""
    return np.stack([apply_affine(person.affine(codec), person.keypoints) for person in persons])


def targets(codec: Codec, persons: list[Person]) -> torch.Tensor:
    """The heatmaps [N, K, h, w] of the persons."""
    points = in_crops(codec, persons)
    maps = [codec.encode(place, person.visible)[0] for place, person in zip(points, persons, strict=True)]
    return torch.from_numpy(np.stack(maps))
