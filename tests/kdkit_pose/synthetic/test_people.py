from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kdkit.errors import ConfigurationError
from kdkit_pose.synthetic import SyntheticPeople, SyntheticPicture


def assert_same_picture(first: SyntheticPicture, second: SyntheticPicture) -> None:
    assert_array_equal(first.image, second.image)
    assert first.annotations == second.annotations


@pytest.fixture
def restored_threads() -> Iterator[None]:
    threads = cv2.getNumThreads()
    yield
    cv2.setNumThreads(threads)


@pytest.mark.parametrize("crowded", [0.0, 1.0])
def test_picture_is_a_function_of_its_index(crowded: float) -> None:
    forwards = list(SyntheticPeople(6, seed=3, crowded=crowded))
    people = SyntheticPeople(6, seed=3, crowded=crowded)
    for index in (5, 0, 3):
        assert_same_picture(people[index], forwards[index])
    assert_same_picture(people[-1], forwards[5])


def test_picture_does_not_depend_on_how_many_there_are() -> None:
    assert_same_picture(SyntheticPeople(3, seed=1)[2], SyntheticPeople(1000, seed=1)[2])


@pytest.mark.usefixtures("restored_threads")
def test_picture_does_not_depend_on_threads() -> None:
    people = SyntheticPeople(3, seed=2, size=(640, 480))
    cv2.setNumThreads(1)
    single = list(people)
    cv2.setNumThreads(4)
    for index, picture in enumerate(single):
        assert_same_picture(people[index], picture)


def test_other_index_or_seed_gives_another_picture() -> None:
    people = SyntheticPeople(4, seed=0)
    pictures = [*people, SyntheticPeople(4, seed=1)[0], SyntheticPeople(4, seed=2)[0]]
    assert len({picture.image.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("size", [(320, 240), (64, 64), (97, 131), (640, 300)])
def test_size(size: tuple[int, int]) -> None:
    picture = SyntheticPeople(1, size=size)[0]
    assert picture.image.shape == (size[1], size[0], 3)
    assert picture.image.dtype == np.uint8


def test_length_and_end_of_iteration() -> None:
    assert len(SyntheticPeople(0)) == 0
    assert list(SyntheticPeople(0)) == []
    assert len(list(SyntheticPeople(2))) == len(SyntheticPeople(2)) == 2


@pytest.mark.parametrize("index", [3, -4, 100])
def test_index_out_of_range(index: int) -> None:
    with pytest.raises(IndexError, match="of 3"):
        SyntheticPeople(3)[index]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pictures": -1}, "pictures"),
        ({"pictures": 1, "seed": -1}, "seed"),
        ({"pictures": 1, "size": (320, 10)}, "size"),
        ({"pictures": 1, "size": (320,)}, "size"),
        ({"pictures": 1, "crowded": 1.5}, "crowded"),
        ({"pictures": 1, "crowded": -0.1}, "crowded"),
        ({"pictures": 1, "crowded": float("nan")}, "crowded"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SyntheticPeople(**arguments)


def test_annotations_have_unique_ids_that_point_to_pictures() -> None:
    coco = SyntheticPeople(5, seed=4).annotations()
    assert [image["id"] for image in coco["images"]] == [1, 2, 3, 4, 5]
    ids = [person["id"] for person in coco["annotations"]]
    assert len(set(ids)) == len(ids) > 0
    assert {person["image_id"] for person in coco["annotations"]} <= {1, 2, 3, 4, 5}
    assert len(coco["categories"][0]["keypoints"]) == 17
    assert coco == SyntheticPeople(5, seed=4).annotations()
