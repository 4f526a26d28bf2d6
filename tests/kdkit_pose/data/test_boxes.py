"""Detector boxes: samples for evaluation, without what only ground truth has."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import Augment, CocoKeypoints, loader
from kdkit_pose.geometry import box_to_center_scale

BOX = {"image_id": 3, "category_id": 1, "bbox": [130.0, 20.0, 180.0, 320.0], "score": 0.75}


def test_samples_have_what_evaluation_needs(content: Any, draw: Any, tmp_path: Path) -> None:
    boxes = [BOX | {"category_id": 2}, BOX, BOX | {"bbox": [-10, 5, 50, 60], "score": 0.5}]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    for given in (boxes, tmp_path / "boxes.json"):
        dataset = CocoKeypoints(content(), draw, codec=MSRA(), boxes=given)
        (batch,) = loader(dataset, batch_size=8)
        assert set(batch) == {"image", "id", "view", "image_id", "center", "scale", "box_score"}
        assert batch["id"].tolist() == [1, 2]
        assert batch["box_score"].tolist() == [0.75, 0.5]
        # As in the reference, a detector's box is not clipped to the picture.
        center, scale = box_to_center_scale([-10, 5, 50, 60], 0.75)
        np.testing.assert_array_equal(batch["center"][1], center)
        np.testing.assert_array_equal(batch["scale"][1], scale)
        assert dataset.skipped.left_out.counts == {"detection of another category": 1}


def test_unusable_boxes_and_unboxed_pictures_are_counted(content: Any, draw: Any) -> None:
    data = content()
    data["images"].append(data["images"][0] | {"id": 4})
    boxes = [BOX, BOX | {"bbox": [1, 1, 0, 5]}, BOX | {"image_id": 99}]
    dataset = CocoKeypoints(data, draw, codec=MSRA(), boxes=boxes)
    assert len(dataset) == 1
    assert dataset.skipped.left_out.counts == {"empty box": 1, "its picture is not among the file's images": 1}
    assert dataset.skipped.noted.counts == {"picture without a usable box": 1}
    assert dataset.image_ids == (3, 4)


@pytest.mark.parametrize(("option", "name"), [({"augment": Augment()}, "augment"), ({"masks": True}, "masks")])
def test_asking_for_what_boxes_do_not_have_is_an_error(option: Any, name: str, content: Any, draw: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.*cannot be used"):
        CocoKeypoints(content(), draw, codec=MSRA(), boxes=[BOX], **option)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({"annotations": []}, "expected a list of detections"),
        ([BOX, {"bbox": [1, 2, 3, 4]}], r"number 1: lacks \['image_id', 'category_id', 'score'\]"),
        ([7], "number 0: lacks"),
        ([BOX | {"bbox": [1, 2, 3]}], "number 0: its bbox must be 4 numbers"),
        ([BOX | {"bbox": ["1", "2", "3", "4"]}], "number 0: its bbox must be numbers"),
        ([BOX | {"bbox": [1, 2, 3, 10**400]}], "number 0: its bbox must be numbers"),
        ([BOX | {"bbox": [1, 2, 3, 1e30]}], "number 0: its bbox must be pixels"),
        ([BOX | {"image_id": 2**70}], "number 0: its image_id must be an integer"),
        ([BOX | {"bbox": [1, 2, 3, float("nan")]}], "finite"),
        ([BOX | {"score": float("inf")}], "finite"),
        ([BOX | {"score": None}], "numbers"),
        ([BOX | {"category_id": [1]}], r"number 0: its category_id must be an integer, found \[1\]"),
        ([BOX | {"image_id": [3]}], r"number 0: its image_id must be an integer, found \[3\]"),
        ([], "no usable person"),
    ],
)
def test_malformed_boxes_are_named(boxes: Any, message: str, content: Any, draw: Any, tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    with pytest.raises(DataError, match=message):
        CocoKeypoints(content(), draw, codec=MSRA(), boxes=tmp_path / "boxes.json")


def test_all_boxes_of_unknown_pictures_is_an_error_that_names_both(content: Any, draw: Any) -> None:
    boxes = [BOX | {"image_id": number} for number in range(10, 30)]
    message = (
        r"all of pictures that the annotations do not list: of \[10, 11, 12, 13, 14\] and 15 more.*list \[3\]"
    )
    with pytest.raises(DataError, match=message):
        CocoKeypoints(content(), draw, codec=MSRA(), boxes=boxes)


def test_no_box_of_a_person_is_an_error_that_names_the_categories(content: Any, draw: Any) -> None:
    boxes = [BOX | {"category_id": number} for number in (7, 2, 7)]
    with pytest.raises(DataError, match=r"3 detections are of the categories \[2, 7\], none .* 1 \(person\)"):
        CocoKeypoints(content(), draw, codec=MSRA(), boxes=boxes)
    with pytest.raises(DataError, match="the list of detections is empty"):
        CocoKeypoints(content(), draw, codec=MSRA(), boxes=[])


def test_a_files_own_category_of_persons_counts(content: Any, person: Any, draw: Any) -> None:
    data = content(person(category_id=5))
    data["categories"] = [data["categories"][0] | {"id": 5}, {"id": 1, "name": "ball"}]
    dataset = CocoKeypoints(data, draw, codec=MSRA(), boxes=[BOX, BOX | {"category_id": 5}])
    assert dataset.annotation_ids == (1,)
    assert dataset.skipped.left_out.counts == {"detection of another category": 1}


def test_boxes_below_the_threshold_are_left_out(content: Any, draw: Any) -> None:
    boxes = [BOX | {"score": score} for score in (0.2, 0.3, 0.9)]
    dataset = CocoKeypoints(content(), draw, codec=MSRA(), boxes=boxes, box_threshold=0.3)
    assert dataset.annotation_ids == (1, 2)
    assert dataset.skipped.left_out.counts == {"score below 0.3": 1}
    everything = CocoKeypoints(content(), draw, codec=MSRA(), boxes=boxes)
    assert len(everything) == 3
    assert everything.fingerprint() != dataset.fingerprint()
    with pytest.raises(DataError, match=r"score below 0.95: 3 \(detection 0"):
        CocoKeypoints(content(), draw, codec=MSRA(), boxes=boxes, box_threshold=0.95)


def test_a_file_that_lists_pictures_only_is_enough(content: Any, draw: Any) -> None:
    pictures = {"images": content()["images"]}
    assert len(CocoKeypoints(pictures, draw, codec=MSRA(), boxes=[BOX])) == 1
    with pytest.raises(DataError, match=r"expected lists under \['annotations', 'categories'\]"):
        CocoKeypoints(pictures, draw, codec=MSRA())
