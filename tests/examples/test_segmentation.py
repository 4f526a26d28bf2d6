"""The segmentation example: its metric, its data, and its script from end to end."""

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from safetensors.torch import load_file
from torch import nn

import kdkit as kd
from kdkit import losses
from kdkit_pose import SyntheticPeople
from kdkit_pose.synthetic import write_coco
from tests.started import WARNINGS

EXAMPLE = Path(__file__).parents[2] / "examples" / "segmentation"
SCRIPT = EXAMPLE / "distill.py"
DOMAIN = sorted(path for path in EXAMPLE.glob("*.py") if path != SCRIPT)
RUNS = ("first-teacher", "second-teacher", "plain-student", "distilled-student")
# The example's files are no package: like the script, import them from its folder.
sys.path.append(str(EXAMPLE))
from mean_iou import Evaluate, confusion, iou  # noqa: E402
from person_masks import MEAN, STD, PersonMasks, read_masks, vary  # noqa: E402

# --- What is promised of the code


def test_the_domain_code_is_under_200_lines():
    assert len(DOMAIN) == 3
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in DOMAIN) < 200


@pytest.mark.parametrize("path", [*DOMAIN, SCRIPT], ids=lambda path: path.name)
def test_only_public_names_of_kdkit_are_used_and_of_kdkit_pose_only_people_and_masks(path):
    imports = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    ours = {
        (node.module, alias.name) for node in imports for alias in node.names if node.module.startswith("kdkit")
    }
    of_kdkit = {(module, name) for module, name in ours if not module.startswith("kdkit_pose")}
    assert all(module in ("kdkit", "kdkit.sampling") for module, _ in of_kdkit)
    assert all(name in kd.__all__ for module, name in of_kdkit if module == "kdkit")
    of_pose = {name for _, name in ours - of_kdkit}
    assert of_pose <= {"SyntheticPeople", "PictureFolder", "MaskStore", "encode_mask"}


# --- The metric


def slow_iou(predicted: np.ndarray, label: np.ndarray, known: np.ndarray, classes: int) -> list[float]:
    found = []
    for value in range(classes):
        both = either = 0
        for place in np.ndindex(label.shape):
            if known[place[0], 0, place[1], place[2]]:
                hits = (predicted[place] == value, label[place] == value)
                both, either = both + all(hits), either + any(hits)
        found.append(both / either if either else math.nan)
    return found


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_iou_equals_a_slow_reference(seed, classes):
    random = np.random.default_rng(seed)
    predicted, label = random.integers(classes, size=(2, 2, 3, 4))
    known = random.integers(2, size=(2, 1, 3, 4))
    counts = confusion(*map(torch.from_numpy, (predicted, label, known)), classes)
    np.testing.assert_allclose(iou(counts), slow_iou(predicted, label, known, classes))


def test_confusion_has_truth_down_and_prediction_across():
    label, predicted = torch.tensor([[[0, 0, 1]]]), torch.tensor([[[0, 1, 1]]])
    assert confusion(predicted, label, torch.ones(1, 1, 1, 3)).tolist() == [[1, 1], [0, 1]]


class Guess(nn.Module):
    """Logits that say person where the image's first channel is above 0."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image):
        return torch.cat([-image[:, :1], image[:, :1]], 1) * self.scale


def test_metrics_are_of_all_batches_together_and_the_floor_finds_nobody():
    def batch(person, known):
        label = torch.zeros(1, 1, 8, dtype=torch.int64)
        label[..., :person] = 1
        return {"image": (2 * label - 1)[:, None].float(), "label": label, "known": known}

    everywhere, half = torch.ones(1, 1, 1, 8), torch.tensor([1.0] * 4 + [0] * 4).view(1, 1, 1, 8)
    batches = [batch(4, everywhere), batch(0, half)]
    batches[1]["image"][..., :1] = 1  # one of the 12 known pixels is a wrong person
    batches[1]["image"][..., 5:] = 1  # wrong as well, but not known
    evaluate = Evaluate(batches)
    assert evaluate(Guess()) == pytest.approx({"val/mIoU": (7 / 8 + 4 / 5) / 2, "val/person_IoU": 4 / 5})
    assert evaluate.floor() == pytest.approx({"val/mIoU": 8 / 12 / 2, "val/person_IoU": 0.0})
    # Where there is nobody, only the background counts.
    nobody = Evaluate([batch(0, everywhere)])(Guess())
    assert nobody["val/mIoU"] == 1.0
    assert math.isnan(nobody["val/person_IoU"])


# --- The data


def shape(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def rectangle(x: int, y: int, width: int, height: int, size: tuple[int, int] = (30, 40)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[y : y + height, x : x + width] = 1
    return mask


def run_lengths(mask: np.ndarray) -> dict[str, object]:
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=0, append=1 - flat[-1]))
    return {"size": list(mask.shape), "counts": np.diff(ends, prepend=0).tolist()}


def compressed(mask: np.ndarray) -> dict[str, object]:
    return {"size": list(mask.shape), "counts": coco_mask.encode(np.asfortranarray(mask))["counts"].decode()}


def person(box: tuple[int, int, int, int], segmentation: object, crowd: int = 0) -> dict[str, object]:
    return {"image_id": 7, "category_id": 1, "bbox": list(box), "segmentation": segmentation, "iscrowd": crowd}


BOX, OTHER = (5, 3, 12, 20), (10, 10, 25, 15)


@pytest.mark.parametrize(
    "encode", [lambda mask: shape(*BOX), run_lengths, compressed], ids=["polygon", "rle", "counts"]
)
def test_masks_in_each_of_cocos_forms_are_read(encode):
    found, known = read_masks([person(BOX, encode(rectangle(*BOX)))], 40, 30)
    np.testing.assert_array_equal(found, rectangle(*BOX) == 1)
    assert known.all()


@pytest.mark.parametrize(
    "open_to_doubt",
    [
        person(OTHER, compressed(rectangle(*OTHER)), crowd=1),
        person(OTHER, []),
        person(OTHER, None),
        person(OTHER, [[12.0, 12.0, 20.0, 20.0]]),
        person(OTHER, compressed(0 * rectangle(*OTHER))),
    ],
    ids=["crowd", "no segmentation", "null", "a line", "an empty mask"],
)
@pytest.mark.parametrize("first", [0, 1])
def test_what_annotations_leave_open_is_not_known_but_for_a_persons_own_mask(open_to_doubt, first):
    annotations = [person(BOX, shape(*BOX)), open_to_doubt]
    found, known = read_masks(annotations[::-1] if first else annotations, 40, 30)
    np.testing.assert_array_equal(found, rectangle(*BOX) == 1)
    np.testing.assert_array_equal(known, (rectangle(*OTHER) == 0) | (rectangle(*BOX) == 1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools' decoder, the reference here
def test_synthetic_peoples_masks_are_those_of_pycocotools():
    people = SyntheticPeople(4, seed=3, size=(160, 120), crowded=1.0)
    for picture in people:
        assert len(picture.annotations) > 1
        expected = np.any([coco_mask.decode(one["segmentation"]) for one in picture.annotations], axis=0)
        np.testing.assert_array_equal(read_masks(picture.annotations, 160, 120)[0], expected)


def white_people(**changes: object) -> PersonMasks:
    """A picture in which people, and only they, are white, and where the crowd is grey."""
    entry = {"id": 7, "width": 40, "height": 30}
    crowd = (1, 20, 3, 8)
    coco = {
        "images": [entry],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
        "annotations": [
            person(BOX, shape(*BOX)),
            person(crowd, compressed(rectangle(*crowd)), crowd=1),
            {**person(OTHER, shape(*OTHER)), "category_id": 2},
        ],
    }
    picture = np.uint8(255 * rectangle(*BOX) + 128 * rectangle(*crowd))
    settings = {"size": (80, 60), "seed": 0, "varied": False, **changes}
    return PersonMasks(coco, lambda entry: np.repeat(picture[..., None], 3, 2), **settings)


def brightness(sample: dict[str, torch.Tensor]) -> torch.Tensor:
    return sample["image"][0] * float(STD[0]) + float(MEAN[0])


def test_a_sample_holds_picture_classes_and_what_is_known():
    sample = white_people()[0, 3]
    assert {name: tuple(value.shape) for name, value in sample.items()} == {
        "image": (3, 60, 80),
        "label": (60, 80),
        "known": (1, 60, 80),
        "id": (),
        "view": (),
    }
    assert (sample["label"].dtype, int(sample["id"]), int(sample["view"])) == (torch.int64, 7, 3)
    assert 0 < float(sample["known"].mean()) < 1
    torch.testing.assert_close(brightness(sample)[8:44, 12:32], torch.ones(36, 20))
    assert int(sample["label"].sum()) == 4 * BOX[2] * BOX[3]  # at twice the size; dogs are no people


def test_views_vary_reproducibly_and_image_label_and_known_vary_together():
    data, again = white_people(varied=True), white_people(varied=True)
    whole, mirrored = white_people()[0, 0], set()
    shapes = set()
    for view in range(24):
        sample = data[0, view]
        for name, value in again[0, view].items():
            assert value.equal(sample[name])
        bright, label, known = brightness(sample), sample["label"] == 1, sample["known"][0] == 1
        # People are as bright as 0.7 to 1; half-covered pixels at their edges half that. The crowd is half grey.
        assert bool((bright[label] > 0.33).all())
        assert bool((bright[known & ~label] < 0.66).all())
        assert bool((bright[~known] > 0.15).all())
        shapes.add(int(label.sum()))
        columns = label.any(0).nonzero()
        if len(columns) and not known.all():
            mirrored.add(bool(columns.float().mean() < (~known).any(0).nonzero().float().mean()))
    assert mirrored == {True, False}
    assert len(shapes) > 12
    assert any(
        not white_people(varied=True, seed=1)[0, 5][name].equal(data[0, 5][name]) for name in ("image", "label")
    )
    for view in (1, 2):
        assert white_people()[0, view]["image"].equal(whole["image"])


def test_a_view_keeps_at_least_half_of_each_side():
    layers = [np.ones((30, 40, 3), np.float32), np.ones((30, 40), bool)]
    for seed in range(50):
        image, mask = vary(layers, np.random.default_rng(seed))
        assert image.shape[:2] == mask.shape
        assert mask.shape[0] >= 15
        assert mask.shape[1] >= 20
        assert image.max() <= 1


@pytest.mark.parametrize("part", ["categories", "images"])
def test_annotations_without_people_or_pictures_are_refused(part):
    coco = {"images": [{"id": 1}], "categories": [{"id": 1, "name": "person"}], "annotations": [], part: []}
    with pytest.raises(kd.DataError, match="person"):
        PersonMasks(coco, lambda entry: None, (8, 8), 0, False)


# --- The objective that the script builds


class Logits(nn.Module):
    """Logits that are parameters, so that their gradient can be seen."""

    def __init__(self, size: torch.Size):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(1, 2, *size))

    def forward(self, image):
        return self.logits.expand(len(image), -1, -1, -1)


def test_what_is_not_known_gives_no_gradient_and_all_else_does():
    sample = {name: value[None] for name, value in white_people()[0, 0].items()}
    truth = kd.Supervise("logits", losses.cross_entropy, target="label", region="known", reduction="weighted_mean")
    student = kd.Student(Logits(sample["label"].shape[1:]), inputs="image", outputs="logits")
    kd.Distiller(student, kd.Curriculum(kd.Stage("plain", [truth], kd.Epochs(1))))(sample).total.backward()
    known = sample["known"][0, 0] == 1
    gradient = student.module.logits.grad[0].abs().sum(0)
    assert bool((gradient[known] > 0).all())
    assert bool((gradient[~known] == 0).all())
    assert not known.all()


# --- The script


def run(out: Path, *arguments: str, devices: str = "") -> str:
    out.parent.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, *WARNINGS, str(SCRIPT), "--out", str(out), "--epochs", "1", *arguments],
        cwd=out.parent,
        # An example must not need an accelerator. Threads of so small networks mostly wait for each other.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": devices, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(out: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / name / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("drawn") / "out"
    return out, run(out, "--pictures", "16")


def test_every_network_trains_as_long_and_the_student_goes_through_both_stages(finished):
    out, _ = finished
    for name in RUNS:
        assert [line["step"] for line in lines(out, name)] == [2, 4]
    assert [line["stage"] for line in lines(out, "plain-student")] == ["plain", "plain"]
    first, second = lines(out, "distilled-student")
    assert (first["stage"], second["stage"]) == ("first", "second")
    for term in ("classes", "places", "decoder"):
        assert min(first[f"loss/first/{term}"], second[f"loss/second/{term}"]) > 0
    learned = json.loads((out / "distilled-student" / "config.json").read_text())["curriculum"]
    for stage in learned:
        (truth,) = (text for text in stage["objectives"] if text.startswith("Supervise"))
        assert "region='known'" in truth
        assert "reduction='weighted_mean'" in truth


def test_the_table_holds_the_floor_and_every_network(finished):
    out, printed = finished
    rows = {
        line[:18].strip(): line[18:].split() for line in printed.splitlines() if line[19:24].strip()[:2] == "0."
    }
    assert list(rows) == ["nobody anywhere", *(name.replace("-", " ") for name in RUNS)]
    assert rows["nobody anywhere"][1:3] == ["0.000", "0"]
    for name in RUNS:
        metrics = lines(out, name)[-1]
        row = rows[name.replace("-", " ")]
        assert row[:2] == [f"{metrics['val/mIoU']:.3f}", f"{metrics['val/person_IoU']:.3f}"]
    parameters = {name: int(row[2].replace(",", "")) for name, row in rows.items()}
    assert parameters["plain student"] == parameters["distilled student"] < parameters["first teacher"] / 3
    assert parameters["first teacher"] < parameters["second teacher"]


def test_the_student_is_a_plain_network_of_smp_without_adaptors(finished):
    out, _ = finished
    plain, distilled = (load_file(out / name / "student.safetensors") for name in RUNS[2:])
    channels = (32, 24, 16, 12, 8)
    network = smp.Unet("tu-mobilenetv3_small_050", encoder_weights=None, classes=2, decoder_channels=channels)
    network.load_state_dict(distilled, strict=True)
    assert network.eval()(torch.zeros(1, 3, 96, 128)).shape == (1, 2, 96, 128)
    assert plain.keys() == distilled.keys()
    assert any(not plain[name].equal(distilled[name]) for name in plain)


def test_the_picture_has_a_column_each_for_picture_truth_and_networks(finished):
    out, _ = finished
    grid = cv2.imread(str(out / "held_out.png"))
    assert grid.shape[1] == 5 * 220  # inches times dots an inch
    assert grid.std() > 10


def test_a_finished_run_is_not_trained_again(finished):
    out, printed = finished
    before = [lines(out, name) for name in RUNS]
    assert run(out, "--pictures", "16") == printed
    assert [lines(out, name) for name in RUNS] == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_runs_on_a_gpu_as_well(tmp_path):
    assert "distilled student" in run(tmp_path / "out", "--pictures", "16", devices="0")


def test_a_coco_file_is_split_into_pictures_to_train_on_and_held_out(tmp_path):
    path = write_coco(SyntheticPeople(12, size=(90, 70)), tmp_path, "train")
    coco = json.loads(path.read_text())
    box = (0, 0, 45, 70)
    crowd = {**person(box, compressed(rectangle(*box, size=(70, 90))), crowd=1), "id": 9}
    coco["annotations"] += [{**crowd, "image_id": entry["id"]} for entry in coco["images"]]
    path.write_text(json.dumps(coco))
    arguments = ["--annotations", str(path), "--images", str(tmp_path / "images"), "--pictures", "8"]
    printed = run(tmp_path / "out", *arguments)
    assert "8 pictures, 2 held out, 2 epochs each" in printed  # the last two of 12 are left out
