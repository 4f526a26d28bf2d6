"""Evaluating 10,000 persons on one core, the network aside: decoding, rescoring, OKS-NMS, COCO's metrics."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from benchmarks.measuring import Seconds
from kdkit_pose import DARK, UDP, Codec, Evaluator
from kdkit_pose.geometry import apply_affine, box_to_center_scale, invert_affine
from kdkit_pose.skeleton import COCO

CROPS_A_PICTURE = 4
BATCH = 64


@dataclass
class Crowd:
    """Persons in pictures, and the maps that a network might have given for them.

    Every fourth crop shows the person of the crop before again, a little shifted, as a detector's boxes do: what
    OKS-NMS is for. There are fewer maps than persons, and the crops place each in a picture of its own: maps of
    10,000 persons would take 2 GB.

    Args:
        persons: how many crops.
        codec: makes the maps.
        maps: how many; whole batches.
    """

    persons: int
    codec: Codec
    maps: int = 4 * BATCH

    def __post_init__(self) -> None:
        draw = np.random.default_rng(0)
        width, height = self.codec.input_size
        joints = len(COCO.sigmas)
        poses = draw.uniform((0.05 * width, 0.05 * height), (0.95 * width, 0.95 * height), (self.maps, joints, 2))
        again = _found_again(self.maps)
        poses[again] = poses[again - 1]
        self.poses = poses
        heatmaps = np.stack([self.codec.encode(pose, np.ones(joints))[0] for pose in self.poses])
        peaks = draw.uniform(0.3, 1.0, (self.maps, joints, 1, 1))
        noise = draw.normal(0, 0.01, heatmaps.shape)
        self.heatmaps = torch.from_numpy((heatmaps * peaks + noise).astype(np.float32))
        boxes = draw.uniform((0, 0, 40, 80), (400, 250, 200, 300), (self.persons, 4))
        again = _found_again(self.persons)
        boxes[again] = boxes[again - 1] + draw.normal(0, 1, (len(again), 4))
        self.boxes = boxes
        self.scores = draw.uniform(0.3, 1.0, self.persons)
        crops = [box_to_center_scale(box, width / height) for box in boxes]
        self.centers, self.scales = (np.stack(part) for part in zip(*crops, strict=True))

    def truth(self) -> dict[str, Any]:
        """Return the ground truth, without those who are only found again; they move from where the maps say."""
        draw = np.random.default_rng(1)
        annotations = []
        for person in np.delete(np.arange(self.persons), _found_again(self.persons)).tolist():
            matrix = invert_affine(self.codec.affine(self.centers[person], self.scales[person]))
            points = apply_affine(matrix, self.poses[person % self.maps])
            points += draw.normal(0, 0.02, points.shape) * self.boxes[person, 3]
            area = float(self.boxes[person, 2:].prod())
            annotations.append(
                {
                    "id": person + 1,
                    "image_id": person // CROPS_A_PICTURE,
                    "category_id": 1,
                    "bbox": self.boxes[person].tolist(),
                    "area": area,
                    "iscrowd": 0,
                    "keypoints": np.column_stack([points, np.full(len(points), 2)]).ravel().tolist(),
                }
            )
        pictures = -(-self.persons // CROPS_A_PICTURE)
        return {
            "images": [{"id": picture} for picture in range(pictures)],
            "categories": [{"id": 1}],
            "annotations": annotations,
        }

    def __iter__(self) -> Iterator[Mapping[str, Tensor]]:
        """Give the batches of a loader; an image is only the number of the map to answer with."""
        for start in range(0, self.persons, BATCH):
            rows = np.arange(start, min(start + BATCH, self.persons))
            yield {
                "image": torch.from_numpy(rows % self.maps),
                "id": torch.from_numpy(rows + 1),
                "image_id": torch.from_numpy(rows // CROPS_A_PICTURE),
                "center": torch.from_numpy(self.centers[rows]),
                "scale": torch.from_numpy(self.scales[rows]),
                "box_score": torch.from_numpy(self.scores[rows]),
            }


def _found_again(persons: int) -> npt.NDArray[np.int64]:
    """Return which crops show the person of the crop before."""
    return np.arange(CROPS_A_PICTURE - 1, persons, CROPS_A_PICTURE)


class Answering(nn.Module):
    """Answers with the maps that follow the one that the first image names; no time is spent."""

    def __init__(self, heatmaps: Tensor) -> None:
        super().__init__()
        self.heatmaps = heatmaps

    def forward(self, image: Tensor) -> Tensor:
        first = int(image[0])
        return self.heatmaps[first : first + len(image)]


@pytest.mark.parametrize("kind", [DARK, UDP])
def test_10000_persons(
    compare: Callable[..., Any], one_core: None, toy: bool, kind: type[DARK] | type[UDP]
) -> None:
    codec = kind(input_size=(192, 256))
    persons = 50 if toy else 10_000
    crowd = Crowd(persons, codec, maps=BATCH if toy else 4 * BATCH)
    evaluate, network = (
        Evaluator(crowd, crowd.truth(), codec, flip=False, boxes="detector"),
        Answering(crowd.heatmaps),
    )
    found = evaluate.results(network)
    assert len(found) < persons, "there is nothing for OKS-NMS to do"
    assert evaluate.score(found)["AP"], "the persons are not found"
    compare(
        f"10,000 persons at 256x192, {codec.name}",
        {"evaluation": lambda: evaluate(network)},
        target=Seconds(at_most=10),
        rounds=3,
        warmup=0,  # it ran once already
    )
