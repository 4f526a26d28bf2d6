"""The pictures of a COCO-format file as samples for person segmentation."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdkit import DataError
from kdkit.sampling import sample_generator
from kdkit_pose.data.masks import MaskStore, encode_mask

MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)  # ImageNet's
Array = np.ndarray[Any, np.dtype[Any]]
Entry = Mapping[str, Any]


class PersonMasks(Dataset[dict[str, Tensor]]):
    """Whole pictures, brought to one size, with a class for each pixel.

    A sample is a dictionary of tensors, as kdkit asks for: ``image`` [3, H, W], normalized as for ImageNet;
    ``label`` [H, W], 1 for a person and 0 for anything else; ``known`` [1, H, W], 0 where the annotations leave
    the label open; ``id`` and ``view``. It is read by (index, view) and depends on seed, id and view alone.

    Args:
        coco: the content of a COCO-format file.
        picture: gives the picture of an entry of its ``images``, RGB uint8 [height, width, 3].
        size: width and height of the samples, in pixels.
        seed: of the variations.
        varied: whether the views of a picture differ.
    """

    def __init__(
        self, coco: Entry, picture: Callable[[Entry], Array], size: tuple[int, int], seed: int, varied: bool
    ) -> None:
        person = {category["id"] for category in coco["categories"] if category["name"] == "person"}
        if not person or not coco["images"]:
            raise DataError("the annotations hold no pictures, or no category named 'person'")
        self.entries, self.picture, self.size, self.seed, self.varied = coco["images"], picture, size, seed, varied
        self.people: dict[int, list[Entry]] = defaultdict(list)
        for annotation in coco["annotations"]:
            if annotation["category_id"] in person:
                self.people[annotation["image_id"]].append(annotation)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        index, view = key
        entry = self.entries[index]
        masks = read_masks(self.people.get(entry["id"], ()), entry["width"], entry["height"])
        layers = [self.picture(entry) / np.float32(255), *masks]
        if self.varied:
            layers = vary(layers, sample_generator(self.seed, entry["id"], view))
        # Resized by areas, a mask becomes the share of each pixel that it covers.
        image, person, known = (
            cv2.resize(layer.astype(np.float32), self.size, interpolation=cv2.INTER_AREA) for layer in layers
        )
        return {
            "image": torch.from_numpy((image - MEAN) / STD).permute(2, 0, 1),
            "label": torch.from_numpy(person >= 0.5).long(),
            "known": torch.from_numpy(known >= 0.5)[None].float(),
            "id": torch.tensor(entry["id"]),
            "view": torch.tensor(view),
        }


def read_masks(annotations: Sequence[Entry], width: int, height: int) -> tuple[Array, Array]:
    """Return where people are, and where that is known: [height, width] of booleans each.

    Crowd regions and the boxes of people whose mask is missing or empty are not, except under someone's own mask.
    """
    person, known = np.zeros((height, width), bool), np.ones((height, width), bool)
    for annotation in annotations:
        own = encode_mask(annotation.get("segmentation"), width, height)  # polygons or run lengths
        x, y, wide, high = annotation["bbox"]
        box = [[x, y, x + wide, y, x + wide, y + high, x, y + high]]
        if encoded := own or encode_mask(box, width, height):
            covered = MaskStore.pack([encoded]).warp(0, np.eye(2, 3), (width, height)) >= 0.5
            if own and not annotation.get("iscrowd"):
                person |= covered
            else:
                known &= ~covered
    return person, known | person


def vary(layers: Sequence[Array], random: np.random.Generator) -> list[Array]:
    """Return a part of a picture [0, 1] and its masks, perhaps mirrored, the picture lighter or darker."""
    height, width = layers[0].shape[:2]
    share = random.uniform(0.6, 1.0) * random.uniform(0.9, 1.0, size=2)  # of height and width
    rows, columns = int(height * share[0]), int(width * share[1])
    top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
    step = random.choice((-1, 1))
    image, *masks = (layer[top : top + rows, left : left + columns][:, ::step] for layer in layers)
    return [np.clip(image * random.uniform(0.7, 1.3), 0, 1), *masks]
