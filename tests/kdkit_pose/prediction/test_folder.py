import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from kdkit_pose.codecs import DARK
from kdkit_pose.prediction import Drawing, PictureFile, PredictionFolder, folder
from kdkit_pose.prediction.folder import drawing_names
from kdkit_pose.skeleton import COCO, Skeleton

CODEC = DARK(input_size=(32, 64))


@pytest.fixture
def write_some(tmp_path, picture, make_poses):
    def write(count, drawing=Drawing()):  # noqa: B008
        files = [PictureFile(tmp_path / f"{n}.jpg", f"{n}.jpg") for n in range(count)]
        written = PredictionFolder(tmp_path / "out", files, COCO, CODEC, drawing)
        for number, file in enumerate(files):
            poses = make_poses(number)
            written.add(file, picture, poses, poses.results(number, file.name), [None] * number)
        written.finish("Predictions", "what was done", ["a note"])
        return tmp_path / "out"

    return write


def test_the_page_says_what_was_found_in_each_picture(write_some):
    text = (write_some(3, Drawing(threshold=0.85, enlarged=1)) / "predictions.html").read_text()
    for words in ("nobody", "1 person, best score 0.90", "2 persons, best score 0.90, 1 below 0.85", "a note"):
        assert words in text


def test_a_page_of_many_shows_the_first_and_says_so(write_some, monkeypatch):
    monkeypatch.setattr(folder, "MOST_SHOWN", 2)
    out = write_some(3, Drawing(enlarged=1))
    text = (out / "predictions.html").read_text()
    assert text.count("<figure>") == 2
    assert "only the first 2 of 3 pictures are shown here" in text
    assert len(list((out / "overlays").iterdir())) == 3
    assert len(json.loads((out / "results.json").read_text())) == 0 + 1 + 2


@pytest.mark.parametrize(("names", "told"), [(("EyeL", "EyeR"), True), (("cleft", "bright_spot"), False)])
def test_the_key_tells_sides_where_the_names_do(tmp_path, names, told):
    body = Skeleton("two", names, ((0, 1),) if told else (), (), (0.1, 0.1), ())
    written = PredictionFolder(tmp_path / "out", [], body, CODEC, Drawing())
    written.finish("Predictions", "what was done", [])
    assert (">left<" in written.page_path.read_text()) == told


def test_results_keep_every_digit(write_some, make_poses):
    out = write_some(2, Drawing(enlarged=1))
    assert json.loads((out / "results.json").read_text()) == make_poses(1).results(1, "1.jpg")


def test_no_two_drawings_are_called_alike_even_where_case_is_ignored(tmp_path):
    names = ["a.png", "A.jpg", "a.Png", "A.PNG", "a.png.jpg", "sub/a.png", "a.PNG-2.jpg", "bare"]
    drawn = drawing_names([PictureFile(tmp_path / name, name) for name in names])
    assert len({name.casefold() for name in drawn}) == len(names)
    assert drawn[0] == "a.jpg"
    assert drawn[5] == "sub/a.jpg"
    assert all(name.endswith(".jpg") for name in drawn)


def test_the_surest_persons_keypoints_come_first(tmp_path, picture, make_poses):
    files = [PictureFile(tmp_path / "1.jpg", "1.jpg")]
    written = PredictionFolder(tmp_path / "out", files, COCO, CODEC, Drawing(enlarged=1, keypoint_heatmaps=True))
    poses = replace(make_poses(2).select([1, 0]), heatmaps=np.zeros((2, 17, 16, 8), dtype=np.float32))
    written.add(files[0], picture, poses, [])
    written.finish("Predictions", "what was done", [])
    page = written.page_path.read_text()
    assert '<a href="keypoint-heatmaps/1-1.jpg">keypoints of 0.90</a>' in page
    assert '<a href="keypoint-heatmaps/1-2.jpg">keypoints of 0.80</a>' in page


def test_everybody_is_on_the_sheet_of_heatmaps(tmp_path, picture, make_poses):
    file = PictureFile(tmp_path / "1.jpg", "1.jpg")
    written = PredictionFolder(tmp_path / "out", [file], COCO, CODEC, Drawing(heatmaps=True, enlarged=1))
    rows = []
    for persons in (24, 25):  # of six in a row
        poses = replace(make_poses(persons), heatmaps=np.zeros((persons, 17, 16, 8), np.float32))
        written.add(file, picture, poses, [])
        rows.append(cv2.imread(str(tmp_path / "out" / "heatmaps" / "1.jpg")).shape[0])
    assert rows[1] == pytest.approx(rows[0] * 5 / 4, rel=0.02)
