"""Annotation files: which persons become samples, and what each kind of bad input does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdkit.errors import DataError
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.skeleton import CROWDPOSE

CODEC = MSRA(input_size=(96, 128))


def test_protocol_leaves_out_and_counts(content: Any, person: Any, draw: Any) -> None:
    dataset = CocoKeypoints(
        content(
            person(id=1),
            person(id=2, iscrowd=1),
            person(id=3, keypoints=[0] * 51),
            person(id=4, area=0),
            person(id=5, bbox=[130, 20, 0, 300]),
            person(id=6, bbox=[500, 20, 50, 300]),
            person(id=7, category_id=2),
            person(id=8, image_id=99),
            person(id=9, segmentation=None, area=None),
            person(id=10, keypoints=[0] * 48 + [100, 100, 1]),
        ),
        draw,
        codec=CODEC,
    )
    assert dataset.annotation_ids == (1, 9, 10)
    assert dataset.skipped.left_out.counts == {
        "crowd region": 1,
        "person without a labelled keypoint": 1,
        "person without an area": 1,
        "empty box": 2,
        "annotation of another category": 1,
        "its picture is not among the file's images": 1,
    }
    assert dataset.skipped.noted.counts == {"person without a segmentation, given a mask of ones": 1}
    assert "empty box: 2 (annotation 5, annotation 6)" in str(dataset.skipped)
    assert (dataset[1]["mask"] == 1).all()
    assert dataset[2]["visible"].tolist() == [0] * 16 + [1]


def test_keypoints_outside_of_the_picture_are_unlabelled(content: Any, person: Any, draw: Any) -> None:
    joints = np.reshape(person()["keypoints"], (-1, 3)).copy()
    joints[2, 0], joints[5, 1], joints[8, 0], joints[9, 1] = -1, -0.5, 400, 360
    dataset = CocoKeypoints(content(person(keypoints=joints.ravel().tolist())), draw, codec=CODEC)
    assert np.flatnonzero(dataset[0]["visible"].numpy() == 0).tolist() == [2, 5, 8, 9]
    assert dataset.skipped.noted.counts == {"keypoint outside of its picture, taken as unlabelled": 4}


def test_boxes_are_clipped_to_the_picture(content: Any, person: Any, draw: Any) -> None:
    wide = CocoKeypoints(content(person(bbox=[-50, -50, 1000, 1000])), draw, codec=CODEC)
    whole = CocoKeypoints(content(person(bbox=[0, 0, 400, 360])), draw, codec=CODEC)
    assert wide[0]["scale"].tolist() == whole[0]["scale"].tolist()


def test_bad_pictures_are_left_out_by_name(content: Any, person: Any, folder: Path) -> None:
    data = content(person(id=1), *(person(id=i, image_id=i) for i in (10, 11, 12)))
    shape = {"width": 400, "height": 360}
    data["images"] += [
        {"id": 10, "file_name": "missing.jpg", **shape},
        {"id": 11, "file_name": "cut.png", **shape},
    ]
    data["images"] += [{"id": 12, "file_name": "picture.png", "width": 401, "height": 360}]
    data["images"] += [{"id": 13, "file_name": "unneeded.png", **shape}]
    (folder / "cut.png").write_bytes((folder / "picture.png").read_bytes()[:-30])
    dataset = CocoKeypoints(data, folder, codec=CODEC)
    assert dataset.annotation_ids == (1,)
    # A picture without persons need not exist to be scored.
    assert dataset.image_ids == (3, 13)
    assert dataset.skipped.left_out.total == 3
    for text in ("missing.jpg", "cut.png", "picture.png: the annotations say 401x360, the file holds 400x360"):
        assert text in str(dataset.skipped)


def test_without_verification_bad_pictures_raise_when_read(content: Any, tmp_path: Path) -> None:
    dataset = CocoKeypoints(content(), tmp_path, codec=CODEC, verify=False)
    with pytest.raises(DataError, match=r"picture\.png"):
        dataset[0]


@pytest.mark.parametrize(
    "changes", [{"keypoints": [0] * 51}, {"iscrowd": 1}, {"image_id": 99}, {"category_id": 5}], ids=repr
)
def test_no_person_left_is_an_error_that_says_why(changes: Any, content: Any, person: Any, draw: Any) -> None:
    with pytest.raises(DataError, match=r"no usable person[\s\S]*: 1 \(annotation 7"):
        CocoKeypoints(content(person(**changes)), draw, codec=CODEC)


def test_no_picture_left_is_an_error_that_names_it(content: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 of the 1 pictures are missing from .* 'picture\.png'"):
        CocoKeypoints(content(), tmp_path, codec=CODEC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": [1, 2, 2] * 16}, "keypoints must be 51 numbers"),
        ({"keypoints": None}, r"lacks \['keypoints'\]"),
        ({"keypoints": [float("nan")] + [1, 2, 1] * 16 + [1, 2]}, "finite"),
        ({"keypoints": ["a"] * 51}, "keypoints must be numbers"),
        ({"keypoints": 5}, "keypoints must be 51 numbers"),
        ({"bbox": [1, 2, float("inf"), 4]}, "bbox must be finite"),
        ({"bbox": [1, 2, 3]}, "bbox must be 4"),
        ({"area": float("nan")}, "area must be finite"),
        ({"image_id": "3"}, "image_id must be an integer"),
        ({"segmentation": [[1, 2, 3]]}, "polygons"),
        ({"segmentation": {"size": [1, 1], "counts": "x"}}, "size"),
    ],
)
def test_a_malformed_annotation_is_named(changes: Any, message: str, content: Any, person: Any, draw: Any) -> None:
    with pytest.raises(DataError, match=f"annotation 7: .*{message}"):
        CocoKeypoints(content(person(**changes)), draw, codec=CODEC)


def test_two_entries_with_one_id_are_an_error(content: Any, person: Any, draw: Any) -> None:
    data = content()
    data["images"] *= 2
    with pytest.raises(DataError, match="image entry number 1: another entry has the same id 3"):
        CocoKeypoints(data, draw, codec=CODEC)
    with pytest.raises(DataError, match="annotation 7: another annotation has the same id"):
        CocoKeypoints(content(person(), person()), draw, codec=CODEC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": None}, "width must be an integer above 0"),
        ({"height": 0}, "height must be an integer above 0"),
        ({"id": "three"}, "id must be an integer"),
        ({"file_name": None}, "expected a 'file_name'"),
        ({"file_name": "../picture.png"}, "leads out of the images folder"),
    ],
)
def test_a_malformed_image_entry_is_named(changes: Any, message: str, content: Any, folder: Path) -> None:
    data = content()
    data["images"][0] |= changes
    with pytest.raises(DataError, match=f"image entry number 0: .*{message}"):
        CocoKeypoints(data, folder, codec=CODEC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [1, 2', r"line 1, column 17 \(character 16 of 16\).*complete"),
        ("", "line 1, column 1"),
        ("[1, 2]", r"expected lists under \['images', 'annotations', 'categories'\], found a list"),
        (
            '{"images": [], "labels": {}}',
            r"\['annotations', 'categories'\], found the keys \['images', 'labels'\]",
        ),
        ('{"images": {}, "annotations": [], "categories": []}', r"\['images'\]"),
        ('{"images": [7], "annotations": [], "categories": []}', "image entry number 0: expected an object"),
        ('{"images": [], "annotations": [7], "categories": []}', "annotation number 0 is a int"),
        ('{"images": [], "annotations": [], "categories": [7]}', "category number 0 is no object"),
        ('{"images": [], "annotations": [], "categories": 7}', "'categories'"),
        (
            '{"images": [{"id": 1, "width": 9, "height": 9, "file_name": "\\ud800"}], "annotations": [],'
            ' "categories": []}',
            "is no Unicode text",
        ),
        ("9" * 5000, "cannot be read"),
        ("[" * 200_000, "KDKIT_MAX_JSON_DEPTH"),
    ],
)
def test_a_file_that_is_no_coco_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(DataError, match=rf"file\.json: .*{message}"):
        CocoKeypoints(tmp_path / "file.json", tmp_path, codec=CODEC)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file\.json: cannot be read \(No such file"):
        CocoKeypoints(tmp_path / "file.json", tmp_path, codec=CODEC)
    (tmp_path / "file.json").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DataError, match=r"file\.json: no valid JSON"):
        CocoKeypoints(tmp_path / "file.json", tmp_path, codec=CODEC)


def test_a_skeleton_that_does_not_fit_is_an_error(content: Any, draw: Any) -> None:
    with pytest.raises(DataError, match=r"has 17 keypoints .*the skeleton 'crowdpose' has 14"):
        CocoKeypoints(content(), draw, codec=CODEC, skeleton=CROWDPOSE)
    data = content()
    data["categories"][0]["keypoints"].reverse()
    with pytest.raises(DataError, match=r"Skeleton\.from_category"):
        CocoKeypoints(data, draw, codec=CODEC)


def test_annotations_are_given_back_unchanged_or_refused(content: Any, person: Any, folder: Path) -> None:
    data = content(person(), person(id=8, iscrowd=1))
    assert CocoKeypoints(data, folder, codec=CODEC).coco_dict() == data
    path = folder / "file.json"
    path.write_text(json.dumps(data))
    dataset = CocoKeypoints(path, folder, codec=CODEC)
    assert dataset.coco_dict() == data
    path.write_text(json.dumps(content()))
    with pytest.raises(DataError, match="has changed"):
        dataset.coco_dict()
