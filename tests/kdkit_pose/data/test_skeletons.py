"""The skeleton, and the persons' category, of a file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import CocoKeypoints, read_skeleton
from kdkit_pose.data.categories import person_categories
from kdkit_pose.skeleton import COCO, CROWDPOSE

DOG = {"id": 4, "name": "dog", "keypoints": ["nose", "left_ear", "right_ear"], "sigmas": [0.02, 0.03, 0.03]}


def test_known_keypoints_are_the_known_skeleton(content: Any, tmp_path: Path) -> None:
    data = content()
    assert read_skeleton(data) == COCO
    (tmp_path / "file.json").write_text(json.dumps(data))
    assert read_skeleton(tmp_path / "file.json") == read_skeleton(str(tmp_path / "file.json")) == COCO
    data["categories"][0]["keypoints"] = list(CROWDPOSE.keypoints)
    assert read_skeleton(data) == CROWDPOSE


def test_a_file_of_ones_own_is_read_and_used(content: Any, person: Any, draw: Any) -> None:
    data = content(person(category_id=4, keypoints=[200, 40, 2, 0, 0, 0, 180, 60, 1]), person(id=8, category_id=1))
    data["categories"] = [{"id": 1, "name": "ball"}, DOG]
    skeleton = read_skeleton(data)
    assert (skeleton.name, skeleton.flip_pairs, skeleton.sigmas) == ("dog", ((1, 2),), (0.02, 0.03, 0.03))
    dataset = CocoKeypoints(data, draw, codec=MSRA(), skeleton=skeleton)
    assert dataset[0]["visible"].tolist() == [1, 0, 1]
    assert dataset.skipped.left_out.counts == {"annotation of another category": 1}
    assert read_skeleton(data, sigmas="coco-like").sigmas[0] == COCO.sigmas[0]


def test_missing_sigmas_are_asked_for(content: Any) -> None:
    data = content()
    data["categories"] = [{**DOG, "sigmas": None}]
    with pytest.raises(ConfigurationError, match=r"'dog' has 3 keypoints.*sigmas=\[.*--sigmas"):
        read_skeleton(data)
    assert read_skeleton(data, sigmas=[0.1] * 3).sigmas == (0.1,) * 3


def test_unlisted_keypoints_are_cocos_unless_an_annotation_says_otherwise(content: Any, person: Any) -> None:
    for persons in ([person()], [person(keypoints=None)], [person(keypoints=[])]):
        data = content(*persons)
        del data["categories"][0]["keypoints"]
        assert read_skeleton(data) == COCO
    data = content(person(), person(id=8, keypoints=[1, 2, 2] * 14))
    del data["categories"][0]["keypoints"]
    with pytest.raises(DataError, match=r"annotation 8 has 42 keypoint numbers.*\"keypoints\": \[names\]"):
        read_skeleton(data)


def test_different_bodies_in_one_file_are_refused(content: Any) -> None:
    data = content()
    data["categories"].append(DOG)
    with pytest.raises(DataError, match="'person' and 'dog' have different keypoints"):
        read_skeleton(data)
    data["categories"][1] = {**data["categories"][0], "id": 9, "name": "child"}
    assert read_skeleton(data) == COCO


def test_a_file_without_categories_is_named(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[1]")
    with pytest.raises(DataError, match=r"file\.json: .*'categories'"):
        read_skeleton(tmp_path / "file.json")
    with pytest.raises(DataError, match=r"none\.json: cannot be read"):
        read_skeleton(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("categories", "persons"),
    [
        ([{"id": 3, "name": "x"}], {3: "x"}),
        ([{"id": 3, "name": "Person"}, {"id": 4, "name": "x"}], {3: "Person"}),
        ([{"id": 3, "name": "person"}, DOG], {4: "dog"}),
        ([], {1: "person"}),
        (None, {1: "person"}),
    ],
)
def test_the_persons_category_is_found(categories: Any, persons: Any) -> None:
    assert person_categories({"categories": categories}, "file") == persons


def test_categories_that_do_not_tell_the_persons_are_refused() -> None:
    with pytest.raises(DataError, match=r"file: 2 categories, none of which lists keypoints.*\(cat, dog"):
        person_categories({"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}, "file")


def test_a_list_of_pictures_alone_is_of_coco(tmp_path: Path) -> None:
    pictures = {"images": [{"id": 1, "width": 9, "height": 9}]}
    assert read_skeleton(pictures) == read_skeleton({**pictures, "annotations": []}) == COCO
    with pytest.raises(DataError, match="'categories'"):
        read_skeleton({**pictures, "annotations": [{"id": 1}]})


def test_unlisted_keypoints_are_the_known_ones_as_far_as_they_fit(content: Any, person: Any) -> None:
    pictures = {"images": [{"id": 1, "width": 9, "height": 9}]}
    assert read_skeleton(pictures, known=CROWDPOSE) is CROWDPOSE
    data = content(person(keypoints=[1, 2, 2] * 14), person(id=8, keypoints=None))
    del data["categories"][0]["keypoints"]
    assert read_skeleton(data, known=CROWDPOSE) is CROWDPOSE
    rough = read_skeleton(data, sigmas=[0.05] * 14, known=CROWDPOSE)
    assert (rough.name, rough.keypoints, rough.sigmas) == ("crowdpose", CROWDPOSE.keypoints, (0.05,) * 14)
    data["annotations"][0]["keypoints"] = [1, 2, 2] * 17
    assert read_skeleton(data, known=CROWDPOSE) == COCO
    data["annotations"][0]["keypoints"] = [1, 2, 2] * 3
    with pytest.raises(DataError, match="annotation 7 has 9 keypoint numbers"):
        read_skeleton(data, known=CROWDPOSE)


@pytest.mark.parametrize("standard", [COCO, CROWDPOSE])
def test_standard_keypoints_have_standard_constants_whatever_a_network_learned_with(standard):
    content = {"categories": [{"id": 1, "name": "person", "keypoints": list(standard.keypoints)}]}
    assert read_skeleton(content, known=replace(standard, sigmas=(1.0,) * standard.num_keypoints)) == standard
