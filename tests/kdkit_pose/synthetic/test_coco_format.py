import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from kdkit.errors import ConfigurationError, RunFolderError
from kdkit_pose.synthetic import Annotator, SyntheticPeople, write_coco

# pycocotools 2.0.11 does not yet know numpy 2's `copy` keyword.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    people = SyntheticPeople(5, seed=6)
    coco = COCO(write_coco(people, tmp_path, "val"))
    assert len(coco.getImgIds()) == 5
    for image, picture in zip(coco.loadImgs(coco.getImgIds()), people, strict=True):
        stored = cv2.imread(str(tmp_path / "images" / image["file_name"]))
        assert stored.shape == (image["height"], image["width"], 3) == picture.image.shape
        assert np.abs(stored[..., ::-1].astype(int) - picture.image).mean() < 6  # JPEG, RGB order
        persons = coco.loadAnns(coco.getAnnIds(image["id"]))
        assert len(persons) == len(picture.annotations)
        for person, entry in zip(persons, picture.annotations, strict=True):
            assert person["keypoints"] == entry["keypoints"]
            assert coco.annToMask(person).sum() == person["area"]


def test_file_holds_the_dictionary_of_the_set(tmp_path: Path) -> None:
    people = SyntheticPeople(3, seed=8)
    written = json.loads(write_coco(people, tmp_path, "val").read_text())
    expected = people.annotations()
    for image in expected["images"]:
        image["file_name"] = f"val/{image['file_name']}"
    assert written == expected


def test_workers_write_the_same_files(tmp_path: Path) -> None:
    people = SyntheticPeople(20, seed=9, size=(128, 96))
    seen: list[int] = []
    write_coco(people, tmp_path / "alone", "train")
    write_coco(people, tmp_path / "pool", "train", workers=2, progress=seen.append)
    assert files_below(tmp_path / "alone") == files_below(tmp_path / "pool")
    assert seen == sorted(seen)
    assert seen[-1] == 20


def test_splits_share_a_folder(tmp_path: Path) -> None:
    write_coco(SyntheticPeople(2, seed=0), tmp_path, "train")
    before = files_below(tmp_path)
    write_coco(SyntheticPeople(2, seed=1), tmp_path, "val")
    after = files_below(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)


def test_existing_split_is_not_overwritten(tmp_path: Path) -> None:
    path = write_coco(SyntheticPeople(2, seed=0), tmp_path, "train")
    before = files_below(tmp_path)
    with pytest.raises(RunFolderError, match=r"person_keypoints_train\.json exists.*remove it or choose another"):
        write_coco(SyntheticPeople(2, seed=1), tmp_path, "train")
    path.unlink()
    del before["annotations/person_keypoints_train.json"]
    with pytest.raises(RunFolderError, match="images"):
        write_coco(SyntheticPeople(2, seed=1), tmp_path, "train")
    assert files_below(tmp_path) == before


def test_interrupted_call_leaves_no_annotations_and_can_be_repeated(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    people = SyntheticPeople(2, seed=0, size=(64, 64))
    with pytest.raises(KeyboardInterrupt):
        write_coco(people, tmp_path / "interrupted", "train", progress=interrupt)
    assert not list((tmp_path / "interrupted").rglob("*.json*"))
    write_coco(people, tmp_path / "interrupted", "train")
    write_coco(people, tmp_path / "whole", "train")
    assert files_below(tmp_path / "interrupted") == files_below(tmp_path / "whole")


def test_empty_set(tmp_path: Path) -> None:
    written = json.loads(write_coco(SyntheticPeople(0), tmp_path, "none").read_text())
    assert written["images"] == written["annotations"] == []


@pytest.mark.parametrize(
    "arguments",
    [{"split": "a/b"}, {"split": ""}, {"split": "t", "workers": -1}, {"split": "t", "first_image_id": 0}],
)
def test_bad_arguments_are_refused(tmp_path: Path, arguments: dict) -> None:
    with pytest.raises(ConfigurationError):
        write_coco(SyntheticPeople(1), tmp_path, **arguments)
    assert files_below(tmp_path) == {}


def test_an_annotator_redoes_what_is_written(tmp_path: Path) -> None:
    people, annotator = SyntheticPeople(2, seed=1), Annotator(seed=4)
    exact, redone = (
        json.loads(write_coco(people, tmp_path / name, "train", annotator=chosen).read_text())
        for name, chosen in (("exact", None), ("redone", annotator))
    )
    assert redone == annotator.annotate(exact)
    assert redone["annotations"] != exact["annotations"]
