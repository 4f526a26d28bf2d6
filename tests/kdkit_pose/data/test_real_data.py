"""Real COCO, OCHuman and CrowdPose files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO as CocoIndex

from kdkit_pose.codecs import MSRA
from kdkit_pose.data import Augment, CocoKeypoints, loader
from kdkit_pose.skeleton import CROWDPOSE


@pytest.fixture(scope="module")
def coco(real_data: Path) -> Path:
    return real_data / "coco-pose-mini"


def read(coco: Path, name: str, **options: object) -> CocoKeypoints:
    annotations = coco / "annotations" / f"person_keypoints_{name}.json"
    return CocoKeypoints(annotations, coco / "images", codec=MSRA(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "persons", "pictures", "unlabelled"),
    [("train2017", 231, 92, 182), ("val2017", 301, 126, 249), ("partial", 93, 101, 10)],
)
def test_every_labelled_person_is_found(
    coco: Path, name: str, persons: int, pictures: int, unlabelled: int
) -> None:
    dataset = read(coco, name)
    assert (len(dataset), len(dataset.image_ids)) == (persons, pictures)
    assert dataset.skipped.left_out.counts["person without a labelled keypoint"] == unlabelled
    assert dataset.skipped.noted.total == 0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_are_those_of_pycocotools(coco: Path) -> None:
    index = CocoIndex(str(coco / "annotations" / "person_keypoints_train2017.json"))
    dataset = read(coco, "train2017")
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    for row, annotation_id in enumerate(dataset.annotation_ids):
        expected = index.annToMask(index.anns[annotation_id])
        found = dataset.people.masks.warp(row, identity, expected.shape[::-1])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_whole_augmented_epoch_loads_in_workers(coco: Path) -> None:
    dataset = read(coco, "train2017", augment=Augment())
    batches = list(loader(dataset, batch_size=32, shuffle=True, workers=2))
    assert sorted(i for batch in batches for i in batch["id"].tolist()) == sorted(dataset.annotation_ids)
    for batch in batches:
        assert all(torch.isfinite(value).all() for value in batch.values())
        assert torch.equal(batch["heatmap"].flatten(2).amax(-1) > 0, batch["visible"] > 0)


def test_greyscale_picture_is_read(coco: Path) -> None:
    dataset = read(coco, "partial")
    row = dataset.people.image_ids.tolist().index(431848)
    image = dataset[row]["image"] * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    image = image + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    torch.testing.assert_close(image[0], image[1])
    assert image.std() > 0.1


def test_detector_boxes_are_read(coco: Path) -> None:
    dataset = read(coco, "val2017_detected", boxes=coco / "annotations" / "person_detections_AP_H_56_val2017.json")
    assert (len(dataset), len(dataset.image_ids)) == (2352, 67)
    assert dataset.skipped.left_out.total == 0
    assert 0 < float(dataset[0]["box_score"]) <= 1


def test_ochuman_with_rle_masks_is_read(real_data: Path) -> None:
    folder = real_data / "ochuman-mini"
    dataset = CocoKeypoints(folder / "test_ochuman.json", folder, codec=MSRA())
    assert len(dataset) == 5
    for sample in (dataset[row] for row in range(5)):
        assert 0.02 < float(sample["mask"].mean()) < 0.9


def test_crowdpose_without_masks_or_areas_is_read(real_data: Path) -> None:
    folder = real_data / "crowdpose-mini"
    dataset = CocoKeypoints(folder / "test_crowdpose.json", folder, codec=MSRA(), skeleton=CROWDPOSE)
    assert len(dataset) == 4
    assert dataset[0]["heatmap"].shape == (14, 64, 48)
    assert dataset.skipped.noted.counts == {"person without a segmentation, given a mask of ones": 4}
