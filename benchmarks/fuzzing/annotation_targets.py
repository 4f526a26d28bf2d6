"""Annotations, boxes, results and masks in COCO's formats."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.fuzzing.mutations import spoil_bytes, spoil_json
from benchmarks.fuzzing.targets import ANNOTATIONS, PICTURES, Target, contents, one_of
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import CocoKeypoints, read_skeleton
from kdkit_pose.data.mask_source import MaskSource
from kdkit_pose.data.predicted_masks import PredictedMasks, content_digest
from kdkit_pose.evaluation import coco_metrics
from kdkit_pose.prediction.boxes import read_boxes, read_pictures
from kdkit_pose.prediction.reading import read_picture
from kdkit_pose.synthetic import SyntheticPeople, write_coco

CODEC = MSRA(input_size=(48, 64))
FILE = "annotations/person_keypoints_few.json"


def people(folder: Path) -> Path:
    """A few drawn people as a COCO data set; every second person's mask is an RLE."""
    path = write_coco(SyntheticPeople(3, seed=0), folder, "few")
    content = json.loads(path.read_bytes())
    sizes = {image["id"]: [image["height"], image["width"]] for image in content["images"]}
    for annotation in content["annotations"][::2]:
        height, width = sizes[annotation["image_id"]]
        runs = [height, 9, height * width - height - 9]
        annotation["segmentation"] = {"size": [height, width], "counts": runs}
    path.write_text(json.dumps(content))
    return path


def annotation_targets(folder: Path) -> list[Target]:
    """The targets of the groups `ANNOTATIONS` and `PICTURES`; valid files are made in an empty folder."""
    annotations = people(folder / "people")
    content = json.loads(annotations.read_bytes())
    masks = folder / "masks.json"
    _predicted(content, annotations, masks)
    files = contents(folder / "people")
    boxes = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.9}
        for one in content["annotations"]
    ]
    results = [
        {key: one[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 0.5}
        for one in content["annotations"]
    ]
    with_boxes = {**files, "boxes.json": json.dumps(boxes).encode()}
    with_results = {**files, "results.json": json.dumps(results).encode()}
    with_masks = {**files, "masks.json": masks.read_bytes()}
    return [
        Target("COCO keypoints, to train on", ANNOTATIONS, files, one_of((FILE,), spoil_json), _train),
        Target("COCO keypoints, to evaluate on", ANNOTATIONS, with_results, one_of((FILE,), spoil_json), _score),
        Target("COCO keypoints, as boxes", ANNOTATIONS, files, one_of((FILE,), spoil_json), _boxes_of),
        Target("detector boxes", ANNOTATIONS, with_boxes, one_of(("boxes.json",), spoil_json), _boxes),
        Target("results", ANNOTATIONS, with_results, one_of(("results.json",), spoil_json), _score),
        Target("predicted masks", ANNOTATIONS, with_masks, one_of(("masks.json",), spoil_json), _masks),
        *_pictures(),
    ]


def _train(folder: Path) -> None:
    skeleton = read_skeleton(folder / FILE)
    for unlabelled in ("leave out", "keep"):
        data = CocoKeypoints(
            folder / FILE, folder / "images", codec=CODEC, skeleton=skeleton, unlabelled=unlabelled
        )  # type: ignore[arg-type]
        for row in range(min(len(data), 2)):
            data[row]


def _score(folder: Path) -> None:
    coco_metrics(folder / FILE, folder / "results.json", boxes="ground truth")


def _boxes_of(folder: Path) -> None:
    read_pictures(folder / FILE)
    read_boxes(folder / FILE, masks=True)


def _boxes(folder: Path) -> None:
    read_boxes(folder / "boxes.json", folder / FILE)
    data = CocoKeypoints(folder / FILE, folder / "images", codec=CODEC, boxes=folder / "boxes.json")
    data[0]


def _masks(folder: Path) -> None:
    masks = folder / "masks.json"
    data = CocoKeypoints(folder / FILE, folder / "images", codec=CODEC, predicted_masks=masks, unlabelled="keep")
    for row in range(min(len(data), 2)):
        data[row]


def _predicted(content: dict[str, Any], annotations: Path, path: Path) -> None:
    """A file of predicted masks; two persons are without an annotated one."""
    for annotation in content["annotations"][:2]:
        annotation.pop("segmentation")
    annotations.write_text(json.dumps(content))
    sizes = {image["id"]: [image["height"], image["width"]] for image in content["images"]}
    source = MaskSource("masks/student.safetensors", "0" * 64, "fpn resnet18", (48, 64), 0.5, 0.8, 9)
    rle = {
        one["id"]: {"size": sizes[one["image_id"]], "counts": [5, 7, int(np.prod(sizes[one["image_id"]])) - 12]}
        for one in content["annotations"]
    }
    PredictedMasks(source, content_digest(annotations), None, rle).save(path)


def _pictures() -> list[Target]:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    names = [f"picture{suffix}" for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm", ".avif", ".gif")]
    found = []
    for name in names:
        try:
            made, encoded = cv2.imencode(Path(name).suffix, pixels)
        except cv2.error:  # an OpenCV that cannot write the format
            continue
        if made:
            files = {name: encoded.tobytes()}
            found.append(Target(Path(name).suffix, PICTURES, files, one_of((name,), spoil_bytes), _picture))
    return found


def _picture(folder: Path) -> None:
    (path,) = folder.iterdir()
    read_picture(path)
