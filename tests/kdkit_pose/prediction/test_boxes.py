import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from kdkit import ConfigurationError, DataError
from kdkit_pose.data.mask_source import MaskSource
from kdkit_pose.data.masks import encode_mask
from kdkit_pose.data.predicted_masks import PredictedMasks, content_digest
from kdkit_pose.prediction import PictureFile, read_boxes
from kdkit_pose.prediction.boxes import read_pictures


@pytest.fixture
def content():
    person = {"image_id": 7, "category_id": 1, "bbox": [10.0, 10.0, 50.0, 60.0]}
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 9, "file_name": "sub/a.jpg", "width": 100, "height": 80},
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {**person, "id": 1, "segmentation": [[10, 10, 60, 10, 60, 70, 10, 70]]},
            {**person, "id": 2, "bbox": [80.0, -5.0, 50.0, 60.0]},
            {**person, "id": 3, "iscrowd": 1},
            {**person, "id": 4, "category_id": 2},
            {**person, "id": 5, "bbox": [200.0, 10.0, 5.0, 5.0]},
            {**person, "id": 6, "image_id": 8},
            {**person, "id": 8, "image_id": 9},
        ],
    }


@pytest.fixture
def write(tmp_path):
    def write(content, name="boxes.json"):
        (tmp_path / name).write_text(json.dumps(content))
        return tmp_path / name

    return write


def files(tmp_path, *names):
    return [PictureFile(tmp_path / name, name) for name in names]


def boxes_of(found):
    return [None if persons is None else [box.tolist() for box in persons.boxes] for persons in found]


def test_annotated_boxes_are_clipped_and_what_is_left_out_is_counted(content, write, tmp_path):
    file = read_boxes(write(content), masks=True)
    matched = file.match(files(tmp_path, "a.jpg", "x/sub/a.jpg", "b.jpg"))
    assert boxes_of(matched) == [[[10, 10, 50, 60], [80, 0, 19, 55]], [[10, 10, 50, 60]], None]
    assert matched[0].ids == [1, 2]
    assert matched[0].masks == [encode_mask(content["annotations"][0]["segmentation"], 100, 80), None]
    assert [persons.image_id for persons in matched[:2]] == [7, 9]
    counts = file.skipped.left_out.counts
    assert counts == {
        "crowd region": 1,
        "box of another category": 1,
        "empty box": 1,
        "box of a picture that the file does not list": 1,
    }
    assert (file.detected, file.category_id) == (False, 1)
    assert "annotated boxes of boxes.json" in file.title
    assert read_boxes(write(content)).match(files(tmp_path, "a.jpg"))[0].masks == [None, None]


def test_a_detectors_boxes_are_not_clipped_and_keep_their_scores(content, write, tmp_path):
    rows = [
        {"image_id": 7, "category_id": 1, "bbox": [-9.5, 1.0, 300.0, 20.0], "score": 0.25},
        {"image_id": 7, "category_id": 2, "bbox": [1.0, 1.0, 3.0, 20.0], "score": 0.5},
        {"image_id": 99, "category_id": 1, "bbox": [1.0, 1.0, 3.0, 20.0], "score": 0.5},
        {"image_id": 9, "category_id": 1, "bbox": [1.0, 1.0, 0.0, 20.0], "score": 0.5},
    ]
    file = read_boxes(write(rows), write(content, "annotations.json"))
    first, second = file.match(files(tmp_path, "a.jpg", "sub/a.jpg"))
    assert boxes_of([first, second]) == [[[-9.5, 1, 300, 20]], []]
    assert first.scores == [0.25]
    assert file.detected
    assert file.skipped.left_out.total == 3


def test_a_list_may_name_its_pictures_itself(write, tmp_path):
    rows = [{"file_name": "deep\\a.jpg", "bbox": [1, 1, 3, 20]}, {"file_name": "b.jpg", "bbox": [1, 1, 3, 20]}]
    file = read_boxes(write(rows))
    found = file.match(files(tmp_path, "a.jpg", "deep/a.jpg", "b.jpg"))
    assert boxes_of(found) == [None, [[1, 1, 3, 20]], [[1, 1, 3, 20]]]
    assert found[1].image_id is None
    assert found[1].scores == [1.0]


def test_a_list_of_ids_needs_annotations(write, content):
    rows = [{"image_id": 7, "category_id": 1, "bbox": [1, 1, 3, 20], "score": 0.5}]
    with pytest.raises(DataError, match=r"by image_id 7 only: give the COCO file .* --annotations"):
        read_boxes(write(rows))
    assert read_pictures(write(content)).match([]) == []


def test_the_name_with_most_folders_decides_and_an_ambiguous_one_is_refused(content, write, tmp_path):
    file = read_boxes(write(content))
    deep, plain = file.match(files(tmp_path, "sub/a.jpg", "other/a.jpg"))
    assert (deep.image_id, plain.image_id) == (9, 7)
    with pytest.raises(DataError, match=r"'a\.jpg' fits both .*one/a\.jpg and .*two/a\.jpg"):
        file.match(files(tmp_path, "one/a.jpg", "two/a.jpg"))
    assert file.match(files(tmp_path, "aa.jpg", "xsub/b.jpg")) == [None, None]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("text", "expected COCO annotations or a list of boxes, found a str"),
        ({"images": []}, "no list of 'annotations'"),
        ({"annotations": []}, "no list of 'images'"),
        ({"images": [{"id": 1}], "annotations": []}, "needs an 'id' and a 'file_name'"),
        ([5], "box number 0 lacks 'bbox'"),
        ([{"file_name": "a", "bbox": [1, 2, 3]}], r"box number 0: its bbox must be of shape \[4\]"),
        ([{"file_name": "a", "bbox": [1, 2, 3, 4], "score": "high"}], "its score must be numbers"),
        ([{"file_name": "a", "bbox": [1, 2, None, 4]}], "bbox must be finite numbers"),
    ],
)
def test_files_of_another_kind_are_refused_by_name(write, bad, message):
    path = write(bad)
    with pytest.raises(DataError, match=message) as caught:
        read_boxes(path)
    assert str(path) in str(caught.value)


def test_a_malformed_annotation_is_named(content, write):
    content["annotations"][1]["bbox"] = [1, 2, "x", 3]
    with pytest.raises(DataError, match="annotation 2: its bbox must be numbers"):
        read_boxes(write(content))
    del content["annotations"][1]["bbox"]
    with pytest.raises(DataError, match="annotation 2 lacks 'bbox' or 'image_id'"):
        read_boxes(write(content))


SOURCE = MaskSource("masks.safetensors", "0" * 64, "unet", (192, 256), 0.5, 0.81, 40)
LEFT_PART = np.zeros((80, 100), dtype=np.uint8, order="F")
LEFT_PART[:, :40] = 1
RLE = {"size": [80, 100], "counts": coco_mask.encode(LEFT_PART)["counts"].decode()}


def test_predicted_masks_are_for_those_without_one(content, write, tmp_path):
    path = write(content)
    PredictedMasks(SOURCE, content_digest(path), None, {1: RLE, 2: RLE}).save(tmp_path / "masks.json")
    file = read_boxes(path, predicted_masks=tmp_path / "masks.json")
    first, second = file.match(files(tmp_path, "a.jpg"))[0].masks
    assert first == encode_mask(content["annotations"][0]["segmentation"], 100, 80)
    assert second.window == (0, 0, 40, 80)
    assert file.skipped.noted.counts["person with a mask by masks.safetensors (IoU 0.810 on 40 persons)"] == 1


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ({**RLE, "size": [100, 80]}, r"size \[100, 80\].*\[80, 100\]"),
        ({"counts": RLE["counts"]}, "size None"),
    ],
)
def test_predicted_masks_of_another_size_are_refused(content, write, tmp_path, rle, message):
    path = write(content)
    PredictedMasks(SOURCE, content_digest(path), None, {2: rle}).save(tmp_path / "masks.json")
    with pytest.raises(DataError, match=r"masks\.json.*a\.jpg number 2.*" + message):
        read_boxes(path, predicted_masks=tmp_path / "masks.json")


def test_a_list_without_sizes_takes_the_masks_own(write, tmp_path):
    boxes = write([{"file_name": "a.jpg", "bbox": [1, 1, 30, 20], "score": 0.5}])
    digests = content_digest(boxes), content_digest(boxes)
    PredictedMasks(SOURCE, *digests, {0: RLE}).save(tmp_path / "masks.json")
    assert read_boxes(boxes, predicted_masks=tmp_path / "masks.json").pictures[0].masks[0].window == (0, 0, 40, 80)
    PredictedMasks(SOURCE, *digests, {0: {"counts": RLE["counts"]}}).save(tmp_path / "masks.json")
    with pytest.raises(DataError, match=r"needs a size \[height, width\] in pixels, found None"):
        read_boxes(boxes, predicted_masks=tmp_path / "masks.json")


def test_predicted_masks_of_a_detectors_boxes(content, write, tmp_path):
    annotations = write(content, "annotations.json")
    boxes = write([{"image_id": 7, "category_id": 1, "bbox": [1, 1, 30, 20], "score": 0.5}])
    digests = content_digest(annotations), content_digest(boxes)
    PredictedMasks(SOURCE, *digests, {0: RLE}).save(tmp_path / "masks.json")
    file = read_boxes(boxes, annotations, predicted_masks=tmp_path / "masks.json")
    assert file.match(files(tmp_path, "a.jpg"))[0].masks[0].window == (0, 0, 40, 80)
    with pytest.raises(DataError, match=r"masks\.json"):
        read_boxes(annotations, predicted_masks=tmp_path / "masks.json")


def test_boxes_of_a_low_score_are_left_out_and_the_others_keep_their_places(content, write, tmp_path):
    row = {"image_id": 7, "category_id": 1, "bbox": [1, 1, 30, 20]}
    rows = [{**row, "score": score} for score in (0.1, 0.5, 0.49999, 0.9)]
    file = read_boxes(write(rows), write(content, "annotations.json"), threshold=0.5)
    assert file.pictures[0].ids == [1, 3]
    assert file.pictures[0].scores == [0.5, 0.9]
    assert file.skipped.left_out.counts == {"score below 0.5": 2}
    with pytest.raises(ConfigurationError, match=r"boxes have no scores: leave --box-threshold 0\.5 out"):
        read_boxes(write(content), threshold=0.5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "the list of detections is empty"),
        (
            [{"image_id": 3, "bbox": [1, 1, 5, 5]}],
            r"its 1 detections of persons are all of pictures .* \[3\].*\[7, 9\]",
        ),
        ([{"image_id": 7, "category_id": 2, "bbox": [1, 1, 5, 5]}], r"are of the categories \[2\]"),
        ([{"image_id": 7, "bbox": [1, 1, 5, 5], "score": 0.1}], r"score below 0\.5: 1 \(box number 0\)"),
        ([{"file_name": "a.jpg", "bbox": [1, 1, 0, 5], "score": 0.9}], r"empty box: 1 \(box number 0\)"),
    ],
)
def test_why_a_list_leaves_no_box_is_said(content, write, rows, message):
    path = write(rows)
    with pytest.raises(DataError, match=message) as caught:
        read_boxes(path, write(content, "annotations.json"), threshold=0.5)
    assert str(caught.value).startswith(f"{path}: no usable person: ")


def test_annotations_that_leave_no_box_say_why(content, write):
    content["annotations"] = [content["annotations"][2]]
    with pytest.raises(
        DataError, match=r"no usable person: 1 annotations\nleft out: crowd region: 1 \(annotation 3\)"
    ):
        read_boxes(write(content))


def test_rows_without_a_category_are_persons(content, write):
    content["categories"] = [{"id": 0, "name": "person"}]
    for annotation in content["annotations"]:
        del annotation["category_id"]
    annotated = read_boxes(write(content))
    assert sum(len(picture.boxes) for picture in annotated.pictures) == 4
    rows = [{"image_id": 7, "bbox": [1, 2, 30, 40], "score": 0.9}]
    detected = read_boxes(write(rows, "detected.json"), write(content))
    assert detected.category_id == 0
    assert [len(picture.boxes) for picture in detected.pictures] == [1, 0]


def test_an_absolute_file_name_is_of_that_file(write, tmp_path):
    rows = [{"file_name": str(tmp_path / "a.jpg"), "bbox": [1, 2, 30, 40], "score": 0.9}]
    file = read_boxes(write(rows))
    assert [found is not None for found in file.match(files(tmp_path, "a.jpg", "sub/a.jpg"))] == [True, False]


def test_sizes_may_be_whole_floats_and_missing_ones_are_noted(content, write):
    content["images"][0]["width"] = 100.0
    content["images"][1].pop("width")
    file = read_boxes(write(content), masks=True)
    assert file.pictures[0].masks[0] is not None
    assert file.pictures[1].masks == [None]
    (note,) = [text for text in file.skipped.noted.counts if "no stated size" in text]
    assert file.skipped.noted.counts[note] == 1
