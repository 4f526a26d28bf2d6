"""``kdkit-pose predict``."""

import io
import json
import os
import struct
import sys
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from kdkit import RunFolderError
from kdkit.files import write_atomically
from kdkit_pose import models
from kdkit_pose.cli import main
from kdkit_pose.codecs import DARK, MSRA
from kdkit_pose.data.integrity import jpeg_size
from kdkit_pose.evaluation import coco_metrics
from kdkit_pose.prediction.page import to_jpeg
from kdkit_pose.skeleton import COCO

REAL = Path(__file__).parents[4] / "shared" / "data" / "coco-pose-mini"


@pytest.fixture(scope="module")
def student(tmp_path_factory, small_network):
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    codec = DARK(input_size=(32, 32))
    models.save(small_network(), path, **codec.to_metadata(), **COCO.to_metadata())
    return path


@pytest.fixture(scope="module")
def aware(tmp_path_factory, small_network):
    path = tmp_path_factory.mktemp("aware") / "senior.safetensors"
    network = small_network(mask_fusion="concat")
    models.save(network, path, **DARK(input_size=(32, 32)).to_metadata(), **COCO.to_metadata())
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def base(student, out):
    return ["predict", "--checkpoint", student, "--out", out, "--enlarge", 1]


@pytest.fixture
def photos(tmp_path):
    """A folder with two pictures of one name, and one of another."""
    rng = np.random.default_rng(0)
    for name in ("a/1.jpg", "b/1.jpg", "2.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, size=(40, 60, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / name), picture)
    return tmp_path / "photos"


@pytest.fixture
def ends_with(monkeypatch, capfd):
    """Runs the program and returns what it printed, which must end with that exit code."""

    def run(code, *arguments):
        monkeypatch.setattr(sys, "argv", ["kdkit-pose", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capfd.readouterr()
        assert (caught.value.code or 0) == code, printed
        return printed.out + printed.err

    return run


@pytest.fixture
def exif():
    """Puts an EXIF orientation into a JPEG file's content."""

    def add(jpeg, orientation):
        entry = struct.pack(">HHI", 0x0112, 3, 1) + struct.pack(">HH", orientation, 0)
        body = b"Exif\x00\x00MM\x00*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
        return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]

    return add


def results(out):
    return json.loads((out / "results.json").read_text())


def written(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_whole_pictures_of_a_folder(run, base, photos, out):
    text = run(*base, photos)
    assert "3 persons in 3 pictures; whole pictures, one person each" in text
    assert "(as the file says); skeleton coco (as the file says)" in text
    assert written(out) == [
        *("overlays/2.jpg", "overlays/a/1.jpg", "overlays/b/1.jpg"),
        *("predictions.html", "results.json"),
    ]
    assert [(result["image_id"], result["file_name"]) for result in results(out)] == [
        *((1, "2.png"), (2, "a/1.jpg"), (3, "b/1.jpg"))
    ]
    for result in results(out):
        assert len(result["keypoints"]) == 51
        assert result["bbox"] == [0, 0, 60, 40]
    overlay = cv2.imread(str(out / "overlays" / "a" / "1.jpg"))
    assert overlay.shape == (40, 60, 3)


def test_the_page_is_whole_and_fetches_nothing(run, base, photos, out):
    (photos / "2.png").rename(photos / "2 <& #2>.png")
    run(*base, photos, "--heatmaps")
    text = (out / "predictions.html").read_text()
    page = ElementTree.fromstring(text.replace("<!DOCTYPE html>", ""))
    names = [element.text for element in page.iter("span") if element.get("class") == "name"]
    assert names == ["2 <& #2>.png", "a/1.jpg", "b/1.jpg"]
    links = [anchor.get("href") for anchor in page.iter("a")]
    assert len(links) == 9
    assert not any(sign in link for link in links for sign in "# <>")
    assert all((out / unquote(link)).is_file() for link in links)
    assert all(image.get("src").startswith("data:image/jpeg;base64,") for image in page.iter("img"))
    assert "http:" not in text
    assert "https:" not in text


def test_a_second_run_gives_the_same_bytes_and_looks_past_its_own_drawings(run, base, photos):
    inside = photos / "out"
    arguments = [*base, photos, "--heatmaps", "--out", inside]
    run(*arguments)
    first = {name: (inside / name).read_bytes() for name in written(inside)}
    run(*arguments)
    assert {name: (inside / name).read_bytes() for name in written(inside)} == first
    assert len(first) == 8


def test_the_shown_pictures_are_left_as_they_were(run, base, photos):
    before = {name: (photos / name).read_bytes() for name in written(photos)}
    run(*base, photos)
    assert {name: (photos / name).read_bytes() for name in written(photos)} == before


def test_boxes_of_annotations_give_what_evaluate_gives(chain, run, out, tmp_path):
    student = chain.student("odkd")
    run(
        *("evaluate", "--checkpoint", student, "--annotations", chain.val, "--images", chain.images),
        *("--results", tmp_path / "expected.json"),
    )
    text = run("predict", "--checkpoint", student, "--boxes", chain.val, "--out", out, chain.images)
    assert "annotated boxes of person_keypoints_val.json" in text
    expected = json.loads((tmp_path / "expected.json").read_text())
    found = {tuple(np.round(result["center"], 6)): result for result in results(out)}
    # Those without a labelled keypoint are in no evaluation, but in the pictures.
    assert len(found) >= len(expected) > 0
    for result in expected:
        mine = found[tuple(np.round(result["center"], 6))]
        assert mine["image_id"] == result["image_id"]
        np.testing.assert_allclose(mine["keypoints"], result["keypoints"], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(mine["score"], result["score"], rtol=1e-4)
    scored = coco_metrics(chain.val, results(out), boxes="ground truth")
    assert scored["AP"] is not None


def test_boxes_of_a_detector(chain, base, run, fail, out, tmp_path):
    pictures = chain.content()["images"]
    rows = [
        {"image_id": entry["id"], "category_id": 1, "bbox": [5.0 * n, 2.0, 30.0, 40.0], "score": 0.3 + 0.1 * n}
        for entry in pictures[:2]
        for n in range(3)
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"images": [{"id": 10**9, "file_name": pictures[0]["file_name"]}]}))
    listed = ["--boxes", tmp_path / "boxes.json", "--annotations", chain.val]
    text = run(*base, *listed, "--max-persons", 2, chain.images)
    assert "detector boxes of boxes.json" in text
    assert "box left out by --max-persons: 2" in text
    skipped = sum(1 for _ in chain.images.rglob("*.jpg")) - 2
    assert f"skipped: {skipped} pictures without a box (" in text
    assert {result["image_id"] for result in results(out)} == {entry["id"] for entry in pictures[:2]}
    assert {result["bbox"][0] for result in results(out)} <= {5.0, 10.0}
    assert "score below 0.45: 4 (" in run(*base, *listed, "--box-threshold", 0.45, chain.images)
    assert {result["bbox"][0] for result in results(out)} == {10.0}
    line = fail(*base, *listed, "--box-threshold", 0.45, "--annotations", other, chain.images)
    assert "detections of persons are all of pictures that the annotations do not list" in line
    assert {result["file_name"] for result in results(out)} == {entry["file_name"] for entry in pictures[:2]}


def test_pictures_without_a_box_are_named_and_not_drawn(base, photos, run, out, tmp_path):
    (photos / "b" / "broken.png").write_text("no picture, and nobody looks at it")
    (tmp_path / "boxes.json").write_text(json.dumps([{"file_name": "2.png", "bbox": [5, 5, 40, 30]}]))
    text = run(*base, "--boxes", tmp_path / "boxes.json", photos)
    assert "1 person in 1 picture; detector boxes of boxes.json" in text
    assert "skipped: 3 pictures without a box (a/1.jpg, b/1.jpg, b/broken.png)" in text
    assert written(out) == ["overlays/2.jpg", "predictions.html", "results.json"]
    page = (out / "predictions.html").read_text()
    assert page.count("<figure>") == 1
    assert "skipped: 3 pictures without a box" in page
    # One that the file lists with nobody in it is no other.
    listed = {"images": [{"id": n, "file_name": name} for n, name in enumerate(["2.png", "a/1.jpg"])]}
    (tmp_path / "boxes.json").write_text(
        json.dumps({**listed, "annotations": [{"id": 1, "image_id": 0, "bbox": [5, 5, 40, 30]}]})
    )
    text = run(*base, "--boxes", tmp_path / "boxes.json", photos / "2.png", photos / "a")
    assert "skipped: 1 picture without a box (a/1.jpg)" in text
    assert "skipped" not in run(*base, "--boxes", tmp_path / "boxes.json", photos / "2.png")
    assert "skipped" not in run(*base, photos / "2.png")


def test_many_pictures_without_a_box_are_counted_and_some_named(base, photos, run, tmp_path):
    for n in range(6):
        (photos / f"{n}.jpg").write_bytes(b"")
    (tmp_path / "boxes.json").write_text(json.dumps([{"file_name": "2.png", "bbox": [5, 5, 40, 30]}]))
    text = run(*base, "--boxes", tmp_path / "boxes.json", photos)
    assert "skipped: 8 pictures without a box (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)" in text


def test_each_keypoints_heatmap_has_a_place_on_the_page(base, photos, run, out, tmp_path, fail):
    rows = [{"file_name": "2.png", "bbox": [5 + 30 * n, 5, 20, 30], "score": 0.4 + 0.5 * n} for n in range(2)]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    arguments = [*base, "--boxes", tmp_path / "boxes.json", "--keypoint-heatmaps", photos / "2.png"]
    run(*arguments)
    sheets = ["keypoint-heatmaps/2-1.jpg", "keypoint-heatmaps/2-2.jpg"]
    assert written(out) == [*sheets, "overlays/2.jpg", "predictions.html", "results.json"]
    page = (out / "predictions.html").read_text()
    assert page.index(sheets[0]) < page.index(sheets[1])
    run(*arguments, "--heatmaps")
    assert written(out) == ["heatmaps/2.jpg", *sheets, "overlays/2.jpg", "predictions.html", "results.json"]
    assert "3 drawings of an earlier prediction" in run(*base, photos / "2.png")
    before = (out / sheets[0]).read_bytes()
    assert "would be overwritten" in fail(*base, out / sheets[0])
    assert (out / sheets[0]).read_bytes() == before


def test_the_ids_are_the_annotations_with_whole_pictures_too(chain, base, run, out):
    run(*base, "--annotations", chain.val, chain.images)
    ids = {entry["file_name"]: entry["id"] for entry in chain.content()["images"]}
    found = {result["file_name"]: result["image_id"] for result in results(out)}
    assert ids.items() <= found.items()
    assert len(set(found.values())) == len(found)


def test_pictures_that_the_file_does_not_list_get_ids_of_their_own(base, photos, run, out, tmp_path):
    listing = {"images": [{"id": 2, "file_name": "2.png", "width": 60, "height": 40}], "annotations": []}
    (tmp_path / "listing.json").write_text(json.dumps(listing))
    run(*base, "--annotations", tmp_path / "listing.json", photos)
    ids = {result["file_name"]: result["image_id"] for result in results(out)}
    assert ids == {"2.png": 2, "a/1.jpg": 1, "b/1.jpg": 3}


def test_a_person_in_two_boxes_is_one(base, photos, run, out, tmp_path):
    rows = [{"file_name": "2.png", "bbox": [5, 5, 40, 30], "score": score} for score in (0.5, 0.9, 0.7)]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    text = run(*base, "--boxes", tmp_path / "boxes.json", photos / "2.png")
    assert "pose too like a better one (OKS-NMS): 2 (2.png" in text
    assert len(results(out)) == 1


def test_a_mask_aware_network_takes_the_masks_of_the_annotations(chain, aware, run, fail, out):
    arguments = ["predict", "--checkpoint", aware, "--out", out, "--enlarge", 1, chain.images]
    assert "reads each person's mask, and there are none: give --mask-predictor" in fail(*arguments)
    assert not out.exists()
    run(*arguments, "--boxes", chain.val, "--masks")
    assert results(out)


def test_masks_are_drawn_when_asked_for(chain, base, run, out):
    run(*base, "--boxes", chain.val, chain.images)
    without = {name: (out / name).read_bytes() for name in written(out)}
    run(*base, "--boxes", chain.val, "--masks", chain.images)
    with_masks = {name: (out / name).read_bytes() for name in written(out)}
    assert with_masks["results.json"] == without["results.json"]
    drawn = [name for name in without if name.startswith("overlays/") and with_masks[name] != without[name]]
    assert len(drawn) == len(chain.content()["images"])


def test_a_file_that_says_nothing_is_decoded_by_what_is_said(run, photos, small_network, tmp_path, out):
    models.save(small_network(), tmp_path / "bare.safetensors")
    text = run("predict", "--checkpoint", tmp_path / "bare.safetensors", "--out", out, photos / "2.png")
    assert str(DARK(input_size=(192, 256))) in text
    assert "its file names no codec; assumed: --codec dark (the default), --input-size 256x192" in text
    assert "skeleton coco (assumed, for 17 keypoints; see --skeleton)" in text
    asked = ["--codec", "msra", "--input-size", "64x32"]
    text = run("predict", "--checkpoint", tmp_path / "bare.safetensors", "--out", out, photos / "2.png", *asked)
    assert str(MSRA(input_size=(32, 64))) in text
    assert "assumed: --sigma 2 (usual at this size)" in text


def test_a_codec_that_contradicts_the_file_is_refused(base, photos, fail):
    assert "--codec" in fail(*base, photos, "--codec", "msra")


def test_other_keypoints_need_a_skeleton(fail, run, photos, small_network, tmp_path, out):
    network = small_network(num_keypoints=3)
    models.save(network, tmp_path / "n.safetensors", **DARK(input_size=(32, 32)).to_metadata())
    arguments = ["predict", "--checkpoint", tmp_path / "n.safetensors", "--out", out, photos / "2.png"]
    assert "predicts 3 keypoints and does not say which: give --skeleton" in fail(*arguments)
    category = {"id": 1, "name": "doll", "keypoints": ["nose", "left_hand", "right_hand"]}
    content = {"images": [], "annotations": [], "categories": [category]}
    (tmp_path / "doll.json").write_text(json.dumps(content))
    assert "skeleton doll (as asked for)" in run(*arguments, "--skeleton", tmp_path / "doll.json")
    assert len(results(out)[0]["keypoints"]) == 9
    assert "has 17" in fail(*arguments, "--skeleton", "coco")


def test_pictures_that_cannot_be_read_are_named_and_the_others_done(base, photos, out, ends_with):
    (photos / "a" / "1.jpg").write_bytes((photos / "a" / "1.jpg").read_bytes()[:200])
    (photos / "b" / "text.png").write_text("no picture")
    text = ends_with(1, *base, photos)
    assert "2 persons in 2 pictures" in text
    assert f"{photos / 'a' / '1.jpg'}: picture is truncated" in text
    assert "text.png: cannot be decoded" in text
    assert [result["file_name"] for result in results(out)] == ["2.png", "b/1.jpg"]
    assert "text.png" in (out / "predictions.html").read_text()


def test_what_was_found_is_kept_when_it_is_stopped(base, photos, out, fail, run, monkeypatch):
    drawn = []

    def full(path, content):
        drawn.append(path)
        if len(drawn) == 2:
            raise RunFolderError("the disk is full")
        write_atomically(path, lambda file: file.write(content))

    monkeypatch.setattr("kdkit_pose.prediction.folder._write", full)
    assert "the disk is full" in fail(*base, photos)
    assert not (out / "results.json").exists()
    unfinished = out / "unfinished-results.json"
    assert len({row["image_id"] for row in json.loads(unfinished.read_text())}) == 1
    # The same folder is taken again, and keeps no part of what was stopped.
    monkeypatch.undo()
    run(*base, photos)
    assert not unfinished.exists()
    whole = (out / "results.json").read_bytes()
    monkeypatch.setattr("kdkit_pose.prediction.folder._write", full)
    drawn.clear()
    fail(*base, photos)
    assert (out / "results.json").read_bytes() == whole


def test_a_panorama_is_drawn_as_large_as_a_jpeg_may_be():
    drawn = to_jpeg(np.full((3, 70_000, 3), 99, dtype=np.uint8), 90)
    assert jpeg_size(io.BytesIO(drawn)) == (65_500, 2)


def test_if_no_picture_can_be_read_nothing_is_written(base, photos, out, fail):
    (photos / "2.png").write_bytes(b"")
    assert "none of the 1 pictures can be read" in fail(*base, photos / "2.png")
    assert not out.exists()


def test_a_picture_of_another_size_than_the_file_says_is_left_out(chain, base, out, tmp_path, ends_with):
    content = chain.content()
    content["images"][0]["width"] += 1
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    names = [chain.images / entry["file_name"] for entry in content["images"]]
    text = ends_with(1, *base, "--boxes", tmp_path / "boxes.json", *names)
    assert "but the file lists it with" in text
    assert content["images"][0]["id"] not in {result["image_id"] for result in results(out)}


def test_what_is_not_there_or_does_not_fit(base, chain, photos, fail, tmp_path, out):
    assert "no such picture or folder" in fail(*base, photos / "none.jpg")
    assert "missing.json" in fail(*base, photos, "--boxes", tmp_path / "missing.json")
    assert "no box for any of the 3 pictures" in fail(*base, photos, "--boxes", chain.val)
    assert "does not list any of the 3 pictures" in fail(*base, photos, "--annotations", chain.val)
    assert "give --boxes" in fail(*base, photos, "--masks")
    assert "--box-threshold would change nothing: give --boxes" in fail(*base, photos, "--box-threshold", "0.5")
    assert "give --boxes" in fail(*base, photos, "--predicted-masks", chain.val)
    (tmp_path / "rows.json").write_text(json.dumps([{"image_id": 1, "bbox": [1, 1, 5, 5], "score": 1}]))
    assert "--annotations" in fail(*base, photos, "--boxes", tmp_path / "rows.json")
    assert "none.safetensors" in fail(*base, photos, "--checkpoint", tmp_path / "none.safetensors")
    assert not out.exists()


def test_nothing_of_the_users_is_overwritten(base, photos, out, fail, run):
    out.write_text("a file")
    assert "is a file: give a folder" in fail(*base, photos)
    out.unlink()
    out.mkdir()
    (out / "results.json").write_text("[]")
    assert "not from kdkit-pose predict" in fail(*base, photos)
    assert (out / "results.json").read_text() == "[]"
    (out / "results.json").unlink()
    (out / "overlays").mkdir()
    os.link(photos / "a" / "1.jpg", out / "overlays" / "1.jpg")
    before = (out / "overlays" / "1.jpg").read_bytes()
    assert "would be overwritten: choose another --out" in fail(*base, out / "overlays" / "1.jpg")
    assert (out / "overlays" / "1.jpg").read_bytes() == before
    assert written(out) == ["overlays/1.jpg"]


def test_pictures_of_one_name_are_drawn_to_different_files(base, photos, out, run):
    for name in ("2.jpg", "2.bmp", "2.PNG", "2.png.jpg"):
        cv2.imwrite(str(photos / name), np.zeros((8, 8, 3), dtype=np.uint8))
    run(*base, photos)
    drawn = [name.casefold() for name in written(out) if name.startswith("overlays/")]
    assert len(drawn) == len(set(drawn)) == 7


def test_photographs_are_turned_but_annotated_pictures_are_not(base, photos, out, run, tmp_path, exif):
    photo = photos / "a" / "1.jpg"
    photo.write_bytes(exif(photo.read_bytes(), 6))
    text = run(*base, photo)
    assert "turned upright, keypoints are of the upright picture: 1 (1.jpg)" in text
    assert results(out)[0]["bbox"] == [0, 0, 40, 60]
    assert cv2.imread(str(out / "overlays" / "1.jpg")).shape == (60, 40, 3)
    run(*base, photo, "--as-stored")
    assert results(out)[0]["bbox"] == [0, 0, 60, 40]
    rows = [{"file_name": "1.jpg", "bbox": [5, 5, 50, 30]}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    text = run(*base, photo, "--boxes", tmp_path / "boxes.json")
    assert "turned upright" not in text
    assert cv2.imread(str(out / "overlays" / "1.jpg")).shape == (40, 60, 3)
    assert "turned upright" in run(*base, photo, "--boxes", tmp_path / "boxes.json", "--upright")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")
def test_ten_real_pictures(base, out, run):
    annotations = REAL / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(annotations.read_text())
    chosen = content["images"][:10]
    text = run(*base, "--boxes", annotations, "--heatmaps", *(REAL / "images" / i["file_name"] for i in chosen))
    assert "in 10 pictures" in text
    assert {result["image_id"] for result in results(out)} <= {entry["id"] for entry in chosen}
    assert len([name for name in written(out) if name.startswith("overlays/")]) == 10
    # An untrained network finds what it finds, but the file is one that can be scored.
    assert coco_metrics(annotations, results(out), boxes="ground truth")["AP"] is not None


def test_drawings_of_an_earlier_prediction_are_told(run, photos, small_network, tmp_path, out):
    models.save(small_network(), tmp_path / "bare.safetensors")
    command = ["predict", "--checkpoint", tmp_path / "bare.safetensors", "--input-size", "64x64", "--out", out]
    assert "an earlier prediction" not in run(*command, "--heatmaps", photos / "2.png")
    assert "an earlier prediction" not in run(*command, "--heatmaps", photos / "2.png")
    assert "1 drawings of an earlier prediction are still in the folder" in run(*command, photos / "2.png")
