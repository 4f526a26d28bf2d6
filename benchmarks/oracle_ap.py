"""The AP of a perfect network: what encoding the true keypoints and decoding them again loses, for every
codec.

    python benchmarks/oracle_ap.py person_keypoints_val2017.json

Boxes are the ground truth's, clipped to the picture; persons are those of the training set (no crowds, an
area, at least one labelled keypoint). A keypoint outside of the crop gets what its map decodes to. "exact"
are the true keypoints, clipped to the crop: the most that any codec can reach.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kdkit_pose.codecs import DARK, MSRA, Codec
from kdkit_pose.evaluation import coco_metrics, rescore
from kdkit_pose.geometry import apply_affine, box_to_center_scale, clip_box, invert_affine

SIZES = ((192, 256), (96, 128))
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Person:
    image_id: int
    keypoints: Array  # [17, 2], pixels of the picture
    visible: Array  # [17]
    box: Array  # [4], clipped


def labelled_persons(annotations: dict[str, Any]) -> Iterator[Person]:
    sizes = {image["id"]: (image["width"], image["height"]) for image in annotations["images"]}
    for annotation in annotations["annotations"]:
        keypoints = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        if annotation["iscrowd"] or annotation["area"] <= 0 or not (keypoints[:, 2] > 0).any():
            continue
        box = clip_box(annotation["bbox"], *sizes[annotation["image_id"]])
        yield Person(annotation["image_id"], keypoints[:, :2], keypoints[:, 2], box)


def targets(codec: Codec, persons: list[Person], affines: list[Array]) -> torch.Tensor:
    maps = [
        codec.encode(apply_affine(affine, person.keypoints), person.visible)[0]
        for person, affine in zip(persons, affines, strict=True)
    ]
    return torch.from_numpy(np.stack(maps))


def exact(codec: Codec, persons: list[Person], affines: list[Array]) -> tuple[torch.Tensor, torch.Tensor]:
    points = [
        np.clip(apply_affine(affine, person.keypoints), 0, np.array(codec.input_size) - 1)
        for person, affine in zip(persons, affines, strict=True)
    ]
    return torch.from_numpy(np.stack(points)), torch.ones(len(persons), len(points[0]))


def encoded(codec: Codec, persons: list[Person], affines: list[Array]) -> tuple[torch.Tensor, torch.Tensor]:
    return codec.decode(targets(codec, persons, affines))


def binarized(codec: Codec, persons: list[Person], affines: list[Array]) -> tuple[torch.Tensor, torch.Tensor]:
    return codec.decode((targets(codec, persons, affines) >= 0.5).float())


METHODS = {
    "exact, clipped to the crop": (exact, MSRA()),
    "MSRA": (encoded, MSRA()),
    "DARK": (encoded, DARK()),
    "DARK, binarized at 0.5, peak": (binarized, DARK()),
    "DARK, binarized at 0.5, centroid": (binarized, DARK(decoder="centroid")),
}


def oracle_ap(annotations: dict[str, Any], method: str, size: tuple[int, int]) -> float:
    """The AP (0..1) of ``method``, one of METHODS, at the input ``size`` (width, height)."""
    restore, codec = METHODS[method]
    codec = replace(codec, input_size=size)
    persons = list(labelled_persons(annotations))
    affines = [codec.affine(*box_to_center_scale(person.box, size[0] / size[1])) for person in persons]
    points, scores = restore(codec, persons, affines)
    results = []
    for person, affine, place, confidence in zip(persons, affines, points.numpy(), scores.numpy(), strict=True):
        placed = apply_affine(invert_affine(affine), place)
        results.append(
            {
                "image_id": person.image_id,
                "category_id": 1,
                "keypoints": np.column_stack([placed, confidence]).ravel().tolist(),
                "score": rescore(1.0, confidence),
            }
        )
    ap = coco_metrics(annotations, results, boxes="ground truth")["AP"]
    return float("nan") if ap is None else ap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, help="COCO keypoint annotations")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    annotations = json.loads(options.annotations.read_text())
    table = {
        method: {f"{size[1]}x{size[0]}": oracle_ap(annotations, method, size) for size in SIZES}
        for method in METHODS
    }
    count = sum(1 for _ in labelled_persons(annotations))
    print(f"{options.annotations.name}: AP of {count} persons, ground-truth boxes, sigma 2")
    print(f"{'input':<34}" + "".join(f"{size[1]}x{size[0]}".rjust(9) for size in SIZES))
    for method, figures in table.items():
        print(f"{method:<34}" + "".join(f"{figure:9.3f}" for figure in figures.values()))
    if options.json:
        options.json.write_text(
            json.dumps({"boxes": "ground truth", "persons": count, "AP": table}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
