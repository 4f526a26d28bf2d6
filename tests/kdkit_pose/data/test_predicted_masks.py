"""Predicted masks: their file, whose masks they may stand in for, and what is said of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.codecs import DARK
from kdkit_pose.data import Augment, CocoKeypoints
from kdkit_pose.data.mask_source import MaskSource, MasksUsed
from kdkit_pose.data.predicted_masks import PredictedMasks, content_digest

WIDTH, HEIGHT = 400, 360
CODEC = DARK(input_size=(96, 128))
SOURCE = MaskSource("masks.safetensors", "ab" * 32, "fpn resnet18", (96, 128), 0.5, 0.8125, 301)
NAMED = "masks.safetensors (IoU 0.812 on 301 persons)"


def rle(left: int, right: int, width: int = WIDTH, height: int = HEIGHT) -> dict[str, Any]:
    """The columns from ``left`` to ``right``."""
    mask = np.zeros((height, width), dtype=np.uint8, order="F")
    mask[:, left:right] = 1
    return {"size": [height, width], "counts": coco_mask.encode(mask)["counts"].decode()}


def predicted(annotations: Any, boxes: Any = None, **masks: dict[str, Any]) -> PredictedMasks:
    """Masks for ``annotations``, by ids written as ``_7``."""
    return PredictedMasks(
        SOURCE,
        content_digest(annotations),
        None if boxes is None else content_digest(boxes),
        {int(key.removeprefix("_")): value for key, value in masks.items()},
    )


@pytest.fixture
def unmasked(content: Callable[..., dict], person: Callable[..., dict]) -> dict:
    """Two persons: 7 has no mask, 8 has one."""
    return content(person(segmentation=None), person(id=8))


@pytest.fixture
def open_data(draw: Callable) -> Callable[..., CocoKeypoints]:
    def make(annotations: Any, **options: Any) -> CocoKeypoints:
        return CocoKeypoints(annotations, draw, codec=CODEC, **options)

    return make


BOXES = [{"image_id": 3, "category_id": 1, "bbox": [130.0, 20.0, 180.0, 320.0], "score": 0.9}] * 2


def test_what_is_saved_is_loaded_and_any_json_reader_reads_it(tmp_path: Path, unmasked: dict) -> None:
    masks = predicted(unmasked, BOXES, _1=rle(3, 9), _0=rle(150, 200))
    masks.save(tmp_path / "deep" / "masks.json")
    assert PredictedMasks.load(tmp_path / "deep" / "masks.json") == masks
    content = json.loads((tmp_path / "deep" / "masks.json").read_text())
    assert [row["id"] for row in content["masks"]] == [0, 1]
    assert int(coco_mask.area(content["masks"][0]["segmentation"])) == 50 * HEIGHT
    assert content["predictor"]["sha256"] == "ab" * 32


def test_a_failed_write_leaves_the_older_file(tmp_path: Path, unmasked: dict) -> None:
    path = tmp_path / "masks.json"
    predicted(unmasked, _7=rle(3, 9)).save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        predicted(unmasked, _7={"size": [1, 1], "counts": b"bytes are no JSON"}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_only_missing_masks_are_filled(open_data: Callable, unmasked: dict) -> None:
    plain = open_data(unmasked)
    filled = open_data(unmasked, predicted_masks=predicted(unmasked, _7=rle(150, 220), _8=rle(0, 400)))
    assert (plain[0]["mask"] == 1).all()
    truth = open_data({**unmasked, "annotations": [unmasked["annotations"][0] | {"segmentation": rle(150, 220)}]})
    assert torch.equal(filled[0]["mask"], truth[0]["mask"])
    assert 0 < filled[0]["mask"].mean() < 1
    assert torch.equal(filled[1]["mask"], plain[1]["mask"])
    for name in set(filled[0]) - {"mask"}:
        assert torch.equal(filled[0][name], plain[0][name])


def test_what_was_used_is_said(open_data: Callable, unmasked: dict) -> None:
    data = open_data(unmasked, predicted_masks=predicted(unmasked, _7=rle(150, 220), _8=rle(0, 400)))
    assert data.masks_predicted == MasksUsed(SOURCE, count=1, persons=2)
    assert str(data.masks_predicted) == f"masks of 1 of 2 persons predicted by {NAMED}"
    assert data.skipped.noted.counts == {f"mask predicted by {NAMED}": 1}
    assert data.own_masks == (True, True)
    assert json.loads(json.dumps(data.masks_predicted.to_json()))["predictor"]["iou"] == 0.8125
    plain = open_data(unmasked)
    assert plain.masks_predicted is None
    assert plain.own_masks == (False, True)
    assert plain.skipped.noted.counts == {"person without a segmentation, given a mask of ones": 1}


def test_the_fingerprint_changes_only_where_a_predicted_mask_is_used(open_data: Callable, unmasked: dict) -> None:
    annotated = {**unmasked, "annotations": unmasked["annotations"][1:]}
    unused = predicted(annotated, _8=rle(0, 400))
    assert open_data(annotated, predicted_masks=unused).fingerprint() == open_data(annotated).fingerprint()
    assert open_data(annotated, predicted_masks=unused).masks_predicted is None
    one, other = (
        open_data(unmasked, predicted_masks=predicted(unmasked, _7=rle(150, right))) for right in (220, 221)
    )
    assert len({open_data(unmasked).fingerprint(), one.fingerprint(), other.fingerprint()}) == 3


@pytest.mark.parametrize(("masks", "why"), [({}, "no mask was predicted"), ({"_7": rle(5, 5)}, "mask is empty")])
def test_who_has_no_predicted_mask_either_is_noted(
    open_data: Callable, unmasked: dict, masks: dict[str, Any], why: str
) -> None:
    data = open_data(unmasked, predicted_masks=predicted(unmasked, **masks))
    assert (data[0]["mask"] == 1).all()
    assert data.masks_predicted is None
    assert why in str(data.skipped.noted)
    assert data.fingerprint() == open_data(unmasked).fingerprint()


def test_detector_boxes_have_masks_if_predicted(open_data: Callable, unmasked: dict) -> None:
    masks = predicted(unmasked, BOXES, _0=rle(150, 220), _1=rle(180, 240))
    data = open_data(unmasked, boxes=BOXES, predicted_masks=masks)
    assert data.masks_predicted == MasksUsed(SOURCE, count=2, persons=2)
    assert not torch.equal(data[0]["mask"], data[1]["mask"])
    assert "mask" not in open_data(unmasked, boxes=BOXES)[0]
    with pytest.raises(ConfigurationError, match="no masks"):
        open_data(unmasked, boxes=BOXES, masks=True)
    with pytest.raises(ConfigurationError, match="augment"):
        open_data(unmasked, boxes=BOXES, augment=Augment(), predicted_masks=masks)


def test_masks_left_out_and_predicted_contradict_each_other(open_data: Callable, unmasked: dict) -> None:
    with pytest.raises(ConfigurationError, match="masks=False"):
        open_data(unmasked, masks=False, predicted_masks=predicted(unmasked, _7=rle(1, 2)))


@pytest.mark.parametrize("name", ["annotations", "boxes"])
def test_masks_of_other_data_are_refused(
    open_data: Callable, unmasked: dict, folder: Path, tmp_path: Path, name: str
) -> None:
    paths = {"annotations": tmp_path / "annotations.json", "boxes": tmp_path / "boxes.json"}
    paths["annotations"].write_text(json.dumps(unmasked))
    paths["boxes"].write_text(json.dumps(BOXES))
    predicted(paths["annotations"], paths["boxes"], _0=rle(150, 220)).save(tmp_path / "masks.json")

    def read() -> CocoKeypoints:
        return CocoKeypoints(
            paths["annotations"],
            folder,
            codec=CODEC,
            boxes=paths["boxes"],
            predicted_masks=tmp_path / "masks.json",
        )

    assert read().masks_predicted is not None
    paths[name].write_text(paths[name].read_text() + "\n")
    with pytest.raises(
        DataError, match=rf"masks\.json: its masks were predicted for {name} of .*{name}\.json has"
    ):
        read()


def test_masks_of_boxes_and_of_annotations_are_not_mixed(open_data: Callable, unmasked: dict) -> None:
    with pytest.raises(DataError, match="with --boxes"):
        open_data(unmasked, boxes=BOXES, predicted_masks=predicted(unmasked, _7=rle(1, 2)))
    with pytest.raises(DataError, match="without --boxes"):
        open_data(unmasked, predicted_masks=predicted(unmasked, BOXES, _0=rle(1, 2)))


def test_a_mask_of_nobody_is_refused(open_data: Callable, unmasked: dict) -> None:
    with pytest.raises(DataError, match="annotations have no id 99"):
        open_data(unmasked, predicted_masks=predicted(unmasked, _99=rle(1, 2)))
    with pytest.raises(DataError, match="boxes have no id 2"):
        open_data(unmasked, boxes=BOXES, predicted_masks=predicted(unmasked, BOXES, _2=rle(1, 2)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (rle(1, 2, width=WIDTH - 1), "size"),
        ({"size": [HEIGHT, WIDTH], "counts": "12"}, "add up"),
        ({"size": [HEIGHT, WIDTH]}, "counts"),
    ],
)
def test_a_mask_that_does_not_fit_its_picture_is_named(
    open_data: Callable, unmasked: dict, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"predicted mask of annotation 7.*{message}"):
        open_data(unmasked, predicted_masks=predicted(unmasked, _7=wrong))


def broken(path: Path, **changes: Any) -> Path:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "gone"}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "kdkit predicted masks 9"}, "expected the format"),
        ({"format": "gone"}, "found None"),
        ({"annotations_sha256": "gone"}, "lacks 'annotations_sha256'"),
        ({"masks": "gone"}, "lacks 'masks'"),
        ({"masks": [{"id": "7", "segmentation": {}}]}, "mask number 0"),
        ({"masks": [7]}, "mask number 0"),
        ({"masks": [{"id": 7, "segmentation": {}}] * 2}, "two masks have the id 7"),
        ({"predictor": {"file": "a"}}, "lacks 'input_size'"),
        ({"predictor": SOURCE.to_json() | {"file": 5}}, "file must be text"),
        ({"predictor": 5}, "damaged"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, unmasked: dict, changes: dict, message: str) -> None:
    path = tmp_path / "masks.json"
    predicted(unmasked, _7=rle(1, 2)).save(path)
    with pytest.raises(DataError, match=message) as caught:
        PredictedMasks.load(broken(path, **changes))
    assert str(path) in str(caught.value)


def test_files_that_are_none_of_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        PredictedMasks.load(tmp_path / "masks.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="found 'list'"):
        PredictedMasks.load(tmp_path / "list.json")
    with pytest.raises(DataError, match="cannot be read"):
        content_digest(tmp_path / "masks.json")


def test_a_source_survives_json() -> None:
    assert MaskSource.from_json(json.loads(json.dumps(SOURCE.to_json()))) == SOURCE
    assert MaskSource.from_json(replace(SOURCE, iou=0.25).to_json()) != SOURCE


def test_how_good_the_box_is_travels_where_it_is_known() -> None:
    assert MaskSource.from_json(replace(SOURCE, box=0.7).to_json()).box == 0.7
    assert MaskSource.from_json(SOURCE.to_json()).box is None
    older = SOURCE.to_json()
    del older["box"]
    assert MaskSource.from_json(older) == SOURCE
