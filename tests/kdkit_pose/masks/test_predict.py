"""Predicting masks for data without them, and using them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from kdkit.errors import DataError
from kdkit_pose import CROWDPOSE, CocoKeypoints, Evaluator, loader, masks, models
from kdkit_pose.data.masks import MaskStore, encode_mask
from kdkit_pose.masks.persons import annotated_boxes, draw_box

from .conftest import HELD_OUT, Trained


def boxes_of(content: dict) -> list[dict]:
    """A detector's boxes: nearly the annotated ones, the last picture's twice."""
    found = [
        {
            "image_id": annotation["image_id"],
            "category_id": 1,
            "bbox": [value + 1 for value in annotation["bbox"]],
            "score": 0.9 - 0.01 * place,
        }
        for place, annotation in enumerate(content["annotations"])
    ]
    return [*found, found[-1]]


def test_what_is_stored_is_what_the_network_says(trained: Trained, unmasked: dict) -> None:
    predicted = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture, batch_size=3)
    predictor = trained.loaded.predictor
    data = CocoKeypoints(unmasked, HELD_OUT.picture, codec=predictor.codec, predicted_masks=predicted)
    assert set(data.annotation_ids) < set(predicted.segmentations)  # some have no labelled keypoint
    assert data.masks_predicted is not None
    boxes = annotated_boxes(unmasked, data.annotation_ids)
    agreement = []
    for row in range(len(data)):
        sample = data[row]
        box = draw_box(boxes[data.annotation_ids[row]], data.matrix(row), (64, 64))
        seen = (sample["image"][None], torch.from_numpy(box)[None, None])
        direct = (predictor.probability(*seen)[0] >= predictor.threshold).float()
        if not data.own_masks[row]:
            assert direct.mean() < 0.01  # too little for a pixel of the picture
            continue
        outside = _outside(sample["image"])
        agreement.append(float(((sample["mask"] >= 0.5).float() == direct)[~outside].float().mean()))
    # The picture's pixels are not the crop's: edges may move by one.
    assert min(agreement) > 0.9
    assert np.mean(agreement) > 0.96


def _outside(image: torch.Tensor) -> torch.Tensor:
    """Where the crop shows nothing of the picture: black, by the mean and deviation taken out."""
    return (image == image.amin(dim=(1, 2), keepdim=True)).all(0, keepdim=True)


def test_predicted_masks_are_better_than_ones(trained: Trained, unmasked: dict, people: Callable) -> None:
    truth = people(HELD_OUT)
    predicted = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture)
    data = CocoKeypoints(unmasked, HELD_OUT.picture, codec=truth.codec, predicted_masks=predicted)
    overlaps = []
    for row in range(len(data)):
        found, true = data[row]["mask"] >= 0.5, truth[row]["mask"] >= 0.5
        overlaps.append([float((m & true).sum() / (m | true).sum()) for m in (found, true | True)])
    found_iou, ones_iou = np.mean(overlaps, axis=0)
    assert found_iou > ones_iou + 0.1


def test_only_who_has_none_gets_one(trained: Trained, unmasked: dict) -> None:
    content = HELD_OUT.annotations()
    del content["annotations"][1]["segmentation"]
    identity = content["annotations"][1]["id"]
    seen: list[tuple[int, int]] = []
    predicted = masks.predict_masks(
        trained.loaded, content, HELD_OUT.picture, progress=lambda done, total: seen.append((done, total))
    )
    assert set(predicted.segmentations) == {identity}
    assert seen == [(1, 1)]
    everyone = masks.predict_masks(trained.loaded, content, HELD_OUT.picture, everyone=True)
    assert len(everyone) == len(content["annotations"])
    assert everyone.segmentations[identity] == predicted.segmentations[identity]
    with pytest.raises(DataError, match="nothing to predict"):
        masks.predict_masks(trained.loaded, HELD_OUT.annotations(), HELD_OUT.picture)


def test_persons_without_a_labelled_keypoint_get_one_too(trained: Trained, unmasked: dict) -> None:
    for annotation in unmasked["annotations"]:
        annotation["keypoints"] = [0] * 51
    predicted = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture)
    data = CocoKeypoints(
        *(unmasked, HELD_OUT.picture),
        codec=trained.loaded.predictor.codec,
        predicted_masks=predicted,
        unlabelled="keep",
    )
    assert set(data.annotation_ids) == set(predicted.segmentations)
    assert sum(data.own_masks) > len(data) / 2  # the others' are empty


def test_a_mask_aware_network_evaluates_with_detector_boxes(trained: Trained, unmasked: dict) -> None:
    boxes = boxes_of(unmasked)
    predicted = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture, boxes=boxes)
    assert set(predicted.segmentations) == set(range(len(boxes)))
    assert predicted.segmentations[len(boxes) - 1] == predicted.segmentations[len(boxes) - 2]
    few = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture, boxes=boxes, box_threshold=0.885)
    assert set(few.segmentations) == {0, 1}
    codec = trained.loaded.predictor.codec
    data = CocoKeypoints(unmasked, HELD_OUT.picture, codec=codec, boxes=boxes, predicted_masks=predicted)
    network = models.create("hrnet_w8_small", mask_fusion="concat")
    metrics = Evaluator(loader(data, 4), unmasked, codec, boxes="detector").metrics(network)
    assert metrics["boxes"] == "detector"
    described = masks.describe(data)
    assert described is not None
    assert described.endswith(f"predicted by {trained.loaded.source}")
    assert masks.describe(CocoKeypoints(unmasked, HELD_OUT.picture, codec=codec)) is None


def test_crowdpose_evaluates_with_predicted_masks(trained: Trained, tmp_path: Path) -> None:
    folder = Path(__file__).parents[4] / "shared" / "data" / "crowdpose-mini"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    annotations = folder / "test_crowdpose.json"
    predicted = masks.predict_masks(trained.loaded, annotations, folder, skeleton=CROWDPOSE)
    predicted.save(tmp_path / "masks.json")
    data = CocoKeypoints(
        *(annotations, folder),
        codec=trained.loaded.predictor.codec,
        skeleton=CROWDPOSE,
        predicted_masks=tmp_path / "masks.json",
    )
    assert len(predicted) >= len(data)
    assert all(sample["mask"].shape == (1, 64, 64) for sample in map(data.__getitem__, range(len(data))))


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_a_pictures_masks_are_those_of_the_data_set(trained: Trained, unmasked: dict, batch_size: int) -> None:
    boxes = boxes_of(unmasked)
    stored = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture, boxes=boxes).segmentations
    compared = 0
    for entry in unmasked["images"]:
        rows = [row for row, box in enumerate(boxes) if box["image_id"] == entry["id"]]
        placed = np.array([boxes[row]["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
        found = trained.loaded.predict(HELD_OUT.picture(entry), placed, batch_size=batch_size)
        expected = [encode_mask(dict(stored[row]), entry["width"], entry["height"]) for row in rows]
        assert [mask is None for mask in found] == [mask is None for mask in expected]
        size = (entry["width"], entry["height"])
        for mask, other in zip(found, expected, strict=True):
            if mask is None or other is None:
                continue
            inside, meant = (MaskStore.pack([one]).warp(0, np.eye(2, 3), size) for one in (mask, other))
            # Batches of other sizes may differ in a last digit, and a pixel at the threshold with it.
            assert (inside != meant).mean() < 0.001
            compared += 1
    assert compared > 3
