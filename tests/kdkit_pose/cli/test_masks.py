"""Masks from the command line: trained, predicted, used, and named wherever they were used."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdkit_pose import models
from kdkit_pose.masks import PredictedMasks, load

DOUBT = "the box itself is the better mask"
"""What is said of a predictor as short of training as this one."""


def train_masks(chain: Any, out: Path) -> list[object]:
    return [
        *("train-masks", *chain.data, "--val-annotations", chain.val, "--out", out, "--input-size", "64x64"),
        *("--architecture", "pspnet", "--encoder", "mobilenetv3_small_050", "--epochs", 1, "--threshold", 0.01),
    ]


@pytest.fixture(scope="module")
def predictor(chain: Any, run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A predictor's file and what its training printed."""
    out = tmp_path_factory.mktemp("masks") / "run"
    return out / "student.safetensors", run(*train_masks(chain, out))


@pytest.fixture
def unmasked(chain: Any, tmp_path: Path) -> Path:
    """The validation annotations without masks."""
    content = chain.content()
    for annotation in content["annotations"]:
        annotation.pop("segmentation", None)
    path = tmp_path / "unmasked.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def boxes(unmasked: Path, tmp_path: Path) -> Path:
    rows = [
        {"image_id": person["image_id"], "category_id": 1, "bbox": person["bbox"], "score": 0.9}
        for person in json.loads(unmasked.read_text())["annotations"]
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(rows))
    return path


def test_training_says_how_good_the_masks_are(predictor: tuple[Path, str]) -> None:
    path, printed = predictor
    assert path.exists()
    assert "with a mask of their own" in printed
    assert "a mask of ones: 0." in printed
    assert DOUBT in printed
    config = json.loads((path.parent / "config.json").read_text())["config"]
    assert config["model"]["mask_predictor"] == "pspnet"


def test_training_masks_goes_on_with_data_that_was_moved_and_notices_other_pictures(
    run: Callable[..., str],
    fail: Callable[..., str],
    chain: Any,
    predictor: tuple[Path, str],
    tmp_path: Path,
) -> None:
    before = chain.folder / "people"
    folder = shutil.copytree(before, tmp_path / "elsewhere")
    out = shutil.copytree(predictor[0].parent, tmp_path / "run")
    command = [str(part).replace(str(before), str(folder)) for part in train_masks(chain, out)]
    assert "a mask of ones: 0." in run(*command)
    places = json.loads((out / "config.json").read_text())["notes"]["files"]
    assert set(places) == {"train_annotations", "val_annotations", "images", "val_images"}
    assert all(Path(place).is_relative_to(before) for place in places.values())  # where they first lay
    for picture in (folder / "images").rglob("*.jpg"):
        picture.write_bytes(picture.read_bytes() + b"\0")
    assert "differs in the training data, the validation data: " in fail(*command)


def test_masks_are_predicted_used_and_named(
    run: Callable[..., str],
    chain: Any,
    predictor: tuple[Path, str],
    unmasked: Path,
    boxes: Path,
    tmp_path: Path,
) -> None:
    data = ["--annotations", unmasked, "--images", chain.images]
    for name, extra in (("ground truth", []), ("detector", ["--boxes", boxes])):
        out = tmp_path / f"{name}.json"
        printed = run("predict-masks", "--checkpoint", predictor[0], *data, *extra, "--out", out)
        predicted = PredictedMasks.load(out)
        assert f"masks of {len(predicted)} " in printed
        assert f"predicted by {predicted.source}" in printed
        assert DOUBT in printed
        printed = run(
            *("evaluate", "--checkpoint", chain.student("senior"), *data, *extra, "--no-flip"),
            *("--predicted-masks", out, "--details", tmp_path / "details.json"),
        )
        assert f"predicted by {predicted.source}" in printed
        assert predicted.source.sha256 in (tmp_path / "details.json").read_text()


def test_training_with_predicted_masks_names_them_in_its_config(
    run: Callable[..., str], chain: Any, predictor: tuple[Path, str], unmasked: Path, tmp_path: Path
) -> None:
    masks, out = tmp_path / "masks.json", tmp_path / "run"
    images = ["--images", chain.images]
    run("predict-masks", "--checkpoint", predictor[0], "--annotations", unmasked, *images, "--out", masks)
    printed = run(
        *("train", "--model", "hrnet_w8_small", "--mask-fusion", "concat", "--train-annotations", unmasked),
        *(*images, "--predicted-masks", masks, "--epochs", 1, "--batch-size", 4, "--input-size", "64x64"),
        *("--val-annotations", unmasked, "--val-predicted-masks", masks, "--out", out),
    )
    predicted = PredictedMasks.load(masks)
    config = json.loads((out / "config.json").read_text())["config"]
    assert config["predicted_masks"]["predictor"] == predicted.source.to_json()
    assert config["val_masks"].endswith(f"predicted by {predicted.source}")
    said = models.read_metadata(out / "student.safetensors")["masks"]
    assert said.endswith(f"predicted by {predicted.source}")
    assert "masks" not in models.read_metadata(chain.student("senior"))
    assert DOUBT in printed


def test_what_is_no_predictor_or_would_be_overwritten_is_one_line(
    fail: Callable[..., str], chain: Any, predictor: tuple[Path, str], unmasked: Path, tmp_path: Path
) -> None:
    data = ["--annotations", unmasked, "--images", chain.images]
    line = fail("predict-masks", "--checkpoint", chain.student("primary"), *data, "--out", tmp_path / "m.json")
    assert "holds a pose network (hrnet_w8_small) and no mask predictor" in line
    for command in (
        ("evaluate", *data),
        ("predict", "--out", tmp_path / "r", chain.images),
        ("export", "--format", "onnx", "--out", tmp_path / "m.onnx"),
    ):
        line = fail(*command, "--checkpoint", predictor[0])
        assert "a person-mask predictor: it finds no keypoints; kdkit-pose predict-masks" in line
    before = unmasked.read_bytes()
    assert "would replace" in fail("predict-masks", "--checkpoint", predictor[0], *data, "--out", unmasked)
    assert unmasked.read_bytes() == before
    # Before hours of prediction, not after them.
    assert "is a folder" in fail("predict-masks", "--checkpoint", predictor[0], *data, "--out", tmp_path)
    complete = ["--annotations", chain.val, "--images", chain.images, "--out", tmp_path / "m.json"]
    assert "--all" in fail("predict-masks", "--checkpoint", predictor[0], *complete)
    assert not (tmp_path / "m.json").exists()
    bare = ["--train-annotations", unmasked, "--val-annotations", chain.val, "--images", chain.images]
    assert "none of the" in fail("train-masks", *bare, "--out", tmp_path / "r", "--input-size", "64x64")
    assert "multiples of 32" in fail("train-masks", *bare, "--out", tmp_path / "r", "--input-size", "48x64")
    assert not (tmp_path / "r").exists()


def test_masks_of_another_file_are_one_line(
    run: Callable[..., str],
    fail: Callable[..., str],
    chain: Any,
    predictor: tuple[Path, str],
    unmasked: Path,
    tmp_path: Path,
) -> None:
    out, images = tmp_path / "masks.json", ["--images", chain.images]
    run("predict-masks", "--checkpoint", predictor[0], "--annotations", unmasked, *images, "--out", out)
    line = fail(
        *("evaluate", "--checkpoint", chain.student("senior"), "--annotations", chain.val, *images),
        *("--predicted-masks", out),
    )
    assert "predicted for annotations of" in line


def test_keypoints_of_ones_own_need_no_sigmas(
    run: Callable[..., str], chain: Any, predictor: tuple[Path, str], tmp_path: Path
) -> None:
    content = chain.content()
    for category in content["categories"]:
        category["keypoints"] = [f"{name}_of_doll" for name in category["keypoints"]]
    own = tmp_path / "own.json"
    own.write_text(json.dumps(content))
    out = tmp_path / "masks.json"
    run(
        *("predict-masks", "--checkpoint", predictor[0], "--annotations", own, "--images", chain.images),
        *("--all", "--out", out),
    )
    assert len(PredictedMasks.load(out))
    run(
        *("train-masks", "--train-annotations", own, "--val-annotations", own, "--images", chain.images),
        *("--out", tmp_path / "run", "--input-size", "64x64", "--batch-size", 4, "--architecture", "pspnet"),
        *("--encoder", "mobilenetv3_small_050", "--epochs", 1),
    )


def test_masks_in_boxes_need_a_list_of_pictures_alone(
    run: Callable[..., str], chain: Any, predictor: tuple[Path, str], boxes: Path, tmp_path: Path
) -> None:
    listed, out = tmp_path / "image_info.json", tmp_path / "masks.json"
    listed.write_text(json.dumps({"images": chain.content()["images"]}))
    run(
        *("predict-masks", "--checkpoint", predictor[0], "--annotations", listed, "--images", chain.images),
        *("--boxes", boxes, "--out", out),
    )
    assert len(PredictedMasks.load(out))


def overlays(out: Path) -> dict[str, bytes]:
    """What is drawn of each picture."""
    return {path.name: path.read_bytes() for path in (out / "overlays").rglob("*.jpg")}


def test_photos_without_masks_are_looked_at_by_predicted_ones(
    run: Callable[..., str],
    fail: Callable[..., str],
    chain: Any,
    predictor: tuple[Path, str],
    boxes: Path,
    unmasked: Path,
    tmp_path: Path,
) -> None:
    senior, out = chain.student("senior"), tmp_path / "predicted"
    photos = sorted(chain.images.rglob("*.jpg"))[:2]
    arguments = ["predict", "--checkpoint", senior, "--out", out, "--enlarge", 1]
    line = fail(*arguments, *photos)
    assert "give --mask-predictor (kdkit-pose train-masks makes one)" in line
    given = ["--mask-predictor", predictor[0]]
    printed = run(*arguments, *given, *photos)
    source = load(predictor[0]).source
    assert f"masks of persons without one by {source}" in printed
    assert DOUBT in printed
    assert f"masks of persons without one by {source}" in (out / "predictions.html").read_text()
    assert len(json.loads((out / "results.json").read_text())) == 2
    detected = ["--boxes", boxes, "--annotations", unmasked, chain.images]
    printed = run(*arguments, *given, *detected)
    persons = len(json.loads(boxes.read_text()))
    read = re.findall(r"person with a mask by [^:]*: (\d+)|predicted mask is empty\): (\d+)", printed)
    assert sum(int(some or none) for some, none in read) == persons
    # The same masks, made beforehand.
    masks = tmp_path / "masks.json"
    run(
        *("predict-masks", "--checkpoint", predictor[0], "--annotations", unmasked, "--images", chain.images),
        *("--boxes", boxes, "--out", masks),
    )
    drawn = overlays(out)
    run(*arguments, "--predicted-masks", masks, *detected)
    assert overlays(out) == drawn
    line = fail("predict", "--checkpoint", chain.student("odkd"), "--out", out, *given, *photos)
    assert "--mask-predictor would change nothing: hrnet_w8_small reads no masks" in line
    assert "no mask predictor" in fail(*arguments, "--mask-predictor", senior, *photos)


def test_figures_name_predicted_masks_and_are_ten_without(
    run: Callable[..., str], chain: Any, predictor: tuple[Path, str], unmasked: Path, tmp_path: Path
) -> None:
    masks, figures = tmp_path / "masks.json", tmp_path / "figures.json"
    images = ["--images", chain.images]
    run("predict-masks", "--checkpoint", predictor[0], "--annotations", unmasked, *images, "--out", masks)
    evaluate = ["evaluate", "--checkpoint", chain.student("senior"), *images, "--no-flip", "--json", figures]
    run(*evaluate, "--annotations", unmasked, "--predicted-masks", masks)
    found = json.loads(figures.read_text())
    assert len(found) == 12
    assert found["masks"].endswith(f"persons predicted by {PredictedMasks.load(masks).source}")
    run(*evaluate, "--annotations", chain.val)
    assert set(json.loads(figures.read_text())) == set(found) - {"masks"}


def test_rows_learn_from_seniors_that_see_predicted_masks(
    run: Callable[..., str],
    fail: Callable[..., str],
    chain: Any,
    predictor: tuple[Path, str],
    unmasked: Path,
    tmp_path: Path,
) -> None:
    masks, images, out = tmp_path / "masks.json", ["--images", chain.images], tmp_path / "study"
    run("predict-masks", "--checkpoint", predictor[0], "--annotations", unmasked, *images, "--out", masks)
    study = [
        *("ablate", "--student", "hrnet_w8_small", "--train-annotations", unmasked, *images, "--out", out),
        *("--val-annotations", unmasked, "--epochs", 2, "--batch-size", 4, "--seeds", 0, "--cpu"),
    ]
    senior = ["--rows", "plain,senior_only", "--senior", chain.student("senior")]
    assert "give --predicted-masks" in fail(*study, *senior)
    printed = run(*study, *senior, "--predicted-masks", masks)
    assert f"predicted by {PredictedMasks.load(masks).source}" in printed
    config = json.loads((out / "results.json").read_text())["config"]
    assert config["predicted_masks"]["path"] == "masks.json"
    without = ["--rows", "plain,primary_only", "--primary", chain.student("primary"), "--predicted-masks", masks]
    assert "--predicted-masks would change nothing: no teacher here reads masks" in fail(*study, *without)
