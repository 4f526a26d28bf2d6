"""The experiment on COCO: from end to end at a small size, and what it refuses."""

import json
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdkit import ConfigurationError, DataError
from kdkit_pose import SyntheticPeople, models
from kdkit_pose.evaluation import compare
from kdkit_pose.synthetic import write_coco
from kdkit_pose_cli.app import load_command

EXAMPLES = Path(__file__).parents[2] / "examples"
REAL = Path(__file__).parents[3] / "shared" / "data" / "coco-pose-mini"
SMALL = (
    *("--student", "hrnet_w8_small", "--input-size", "64", "64", "--epochs", "1", "1", "--senior-epochs", "1"),
    *("--batch-size", "4", "--workers", "0", "--cpu", "--allow-weak-teachers"),
)


@pytest.fixture(autouse=True)
def _as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example's own modules are found as from a script beside them; tiny tensors are faster in one thread."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options that name two files as the official ones are: state dicts, which say no codec."""
    folder = tmp_path_factory.mktemp("teachers")
    for seed, name in enumerate(("primary", "rgb")):
        torch.manual_seed(seed)
        torch.save(models.create("hrnet_w8_small").state_dict(), folder / f"{name}.pth")
    return "--primary", str(folder / "primary.pth"), "--senior-rgb", str(folder / "rgb.pth")


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """COCO's folder, of a few synthetic people and a detector that finds them."""
    for number, split in enumerate(("train2017", "val2017")):
        people = SyntheticPeople(4 - number, seed=number, size=(160, 120))
        file = write_coco(people, tmp_path / "coco", split)
        # COCO's pictures lie side by side, and their names say no folder.
        (tmp_path / "coco" / "images" / split).rename(tmp_path / "coco" / split)
        truth = json.loads(file.read_text())
        for image in truth["images"]:
            image["file_name"] = Path(image["file_name"]).name
        file.write_text(json.dumps(truth))
    (tmp_path / "coco" / "images").rmdir()
    found = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.9}
        for one in truth["annotations"]
    ]
    boxes = tmp_path / "coco/person_detection_results/COCO_val2017_detections_AP_H_56_person.json"
    boxes.parent.mkdir()
    boxes.write_text(json.dumps(found))
    return tmp_path / "coco"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the script in this process; gives what it prints."""

    def call(*arguments: str) -> str:
        import coco_odkd
        from coco import comparing

        monkeypatch.setattr(comparing, "compare", partial(compare, resamples=100))
        monkeypatch.setattr(sys, "argv", ["coco_odkd.py", *arguments])
        coco_odkd.run()
        return capsys.readouterr().out

    return call


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def require_outcome(out: Path) -> None:
    """A senior that reads masks, students of equal length that do not, ten figures for either source of boxes."""
    assert models.load(out / "senior" / "student.safetensors").inputs == ("image", "mask")
    plain, distilled = lines(out / "plain"), lines(out / "distill")
    assert [line["stage"] for line in distilled] == ["primary", "senior"]
    assert [line["step"] for line in plain] == [line["step"] for line in distilled]
    assert "loss/distill/senior/heatmap" in distilled[1]
    network = models.load(out / "distill" / "student.safetensors")
    assert network.inputs == ("image",)
    assert network.codec is not None
    assert (network.codec.name, network.codec.input_size) == ("msra", (64, 64))
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures.pop("both")["steps"] == lines(out / "plain")[-1]["step"]
    assert list(figures) == ["ground truth", "detector"]
    for boxes, found in figures.items():
        for student in ("plain", "distill"):
            assert len(found[student]) == 11
            assert found[student]["boxes"] == boxes
        assert (
            found["distill - plain"]["low"] <= found["distill - plain"]["AP"] <= found["distill - plain"]["high"]
        )


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")
def test_all_steps_run_on_real_pictures(
    teachers: tuple[str, ...], tmp_path: Path, run: Callable[..., str]
) -> None:
    def part(name: str, pictures: int) -> Path:
        content = json.loads((REAL / "annotations" / f"person_keypoints_{name}.json").read_text())
        labelled = sorted({one["image_id"] for one in content["annotations"] if one["num_keypoints"] > 0})
        kept = set(labelled[:pictures])
        content["images"] = [one for one in content["images"] if one["id"] in kept]
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] in kept]
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path / f"{name}.json"

    train, val = part("train2017", 4), part("val2017_detected", 3)
    pictures = {image["id"] for image in json.loads(val.read_text())["images"]}
    found = json.loads((REAL / "annotations" / "person_detections_AP_H_56_val2017.json").read_text())
    surest = sorted((one for one in found if one["image_id"] in pictures), key=lambda one: -one["score"])[:8]
    (tmp_path / "boxes.json").write_text(json.dumps(surest))
    named = {"train-annotations": train, "val-annotations": val, "boxes": tmp_path / "boxes.json"}
    named |= {"train-images": REAL / "images", "val-images": REAL / "images"}
    data = [part for name, path in named.items() for part in (f"--{name}", str(path))]
    run(*data, *teachers, *SMALL, "--packed", str(tmp_path / "packed"), "--out", str(tmp_path / "out"))
    require_outcome(tmp_path / "out")


def test_all_steps_run_from_caches_and_what_is_done_is_found_again(
    coco: Path, teachers: tuple[str, ...], tmp_path: Path, run: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    options = ("--data", str(coco), "--out", str(out), *teachers, *SMALL, "--canonical-caches", "--fast-teachers")
    first = run(*options)
    assert [line[3:] for line in first.splitlines() if line.startswith("== ")] == [
        *("check", "senior", "plain", "distill", "evaluate")
    ]
    assert "primary: hrnet_w8_small, AP" in first
    assert "senior: hrnet_w8_small, AP" in first
    require_outcome(out)
    made = [path for kind in ("caches/*/shard-*.bin", "keypoints/*.json") for path in out.rglob(kind)]
    trained = [*out.rglob("metrics.jsonl"), *out.rglob("student.safetensors")]
    assert (len(made), len(trained)) == (12, 6)
    before = [path.stat().st_mtime_ns for path in made], [path.read_bytes() for path in trained]
    run("distill", "evaluate", *options)
    assert ([path.stat().st_mtime_ns for path in made], [path.read_bytes() for path in trained]) == before


def test_both_students_begin_from_the_same_weights(
    coco: Path, teachers: tuple[str, ...], run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import coco_odkd

    begun: dict[str, Any] = {}

    def begin(persons: Any, name: str, network: torch.nn.Module, *others: Any) -> None:
        begun[name] = network.state_dict()

    monkeypatch.setattr(coco_odkd, "train", begin)
    monkeypatch.setattr(coco_odkd.Judge, "check_senior", lambda judge: None)
    run("plain", "distill", "--data", str(coco), *teachers, "--senior", teachers[3], *SMALL)
    assert begun["plain"].keys() == begun["distill"].keys()
    assert all(value.equal(begun["distill"][name]) for name, value in begun["plain"].items())


def test_the_senior_begins_as_the_network_that_it_is_made_of(teachers: tuple[str, ...]) -> None:
    from coco.judging import MaskOfOnes

    rgb = models.load(teachers[3]).eval()
    senior = models.create("hrnet_w8_small", mask_fusion="concat").eval()
    models.load_checkpoint(senior, teachers[3])
    image, mask = torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(senior(image, mask), rgb(image), atol=1e-6)
        senior.conv1.weight[:, 3:] += 1
        assert torch.equal(MaskOfOnes(senior)(image, mask), senior(image, torch.ones_like(mask)))
        assert not torch.allclose(MaskOfOnes(senior)(image, mask), senior(image, mask))


class Judged:
    """A judge of files that are not there: AP by name, and what their files are recognised as."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ap: dict[str, float], **options: Any) -> None:
        from coco.judging import Judge

        defaults: dict[str, Any] = {"primary_ap": None, "senior_rgb_ap": None, "tolerance": 0.005}
        defaults |= {"allow_weak_teachers": False, "boxes": Path("boxes"), "out": Path()}
        defaults |= {"primary": Path("w32"), "senior_file": Path("senior")}
        codec = SimpleNamespace(name="msra", input_size=(192, 256))
        network = SimpleNamespace(name="hrnet_w32", codec=codec, inputs=("image", "mask"))
        persons: Any = SimpleNamespace(
            options=Namespace(**defaults | options), codec=codec, load=lambda path: network
        )
        self.judge = Judge(persons)
        self.codec, self.network = codec, network
        self.file = SimpleNamespace(format="state dict", model="hrnet_w32")
        monkeypatch.setattr(models, "recognise", lambda path: self.file)
        monkeypatch.setattr(
            self.judge, "ap", lambda name, network, boxes="", *, masks=True: ap.get(boxes, ap.get(name))
        )


def test_a_file_that_is_worse_than_reported_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"ground truth": 0.7605, "detector": 0.7445}
    Judged(monkeypatch, good).judge.check_file("primary", Path("w32"))
    assert "AP 0.760 with ground truth boxes; reported: 0.765" in capsys.readouterr().out
    low = {**good, "detector": 0.73}
    with pytest.raises(ConfigurationError, match=r"AP 0.730 with detector boxes, and 0.744 was reported"):
        Judged(monkeypatch, low).judge.check_file("primary", Path("w32"))
    Judged(monkeypatch, low, allow_weak_teachers=True).judge.check_file("primary", Path("w32"))
    assert "warning: primary: 'w32' has AP 0.730" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match=r"0.900 was reported"):
        Judged(monkeypatch, good, primary_ap=0.9).judge.check_file("primary", Path("w32"))


def test_a_reported_figure_is_of_the_file_s_maker_codec_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = Judged(monkeypatch, {})

    def reported(boxes: str) -> float | None:
        return judged.judge.reported("primary", Path("w32"), boxes)  # type: ignore[arg-type]

    assert (reported("ground truth"), reported("detector")) == (0.765, 0.744)
    judged.file.format = "mmpose 1.x"
    assert (reported("ground truth"), reported("detector")) == (None, 0.749)
    judged.codec.name = "udp"
    assert reported("detector") == 0.762
    judged.codec.input_size = (288, 384)
    assert reported("detector") is None
    judged.codec.name, judged.codec.input_size, judged.file.format = "msra", (192, 256), "kdkit safetensors"
    assert reported("detector") is None


@pytest.mark.parametrize(
    ("ap", "said"),
    [
        ({"senior": 0.8, "senior-mask-of-ones": 0.7, "primary": 0.75}, None),
        ({"senior": 0.8, "senior-mask-of-ones": 0.8, "primary": 0.75}, "does not use its mask"),
        ({"senior": 0.7, "senior-mask-of-ones": 0.6, "primary": 0.75}, "is not better than the primary"),
    ],
)
def test_a_senior_must_be_better_and_by_its_masks(
    monkeypatch: pytest.MonkeyPatch, ap: dict[str, float], said: str | None
) -> None:
    judged = Judged(monkeypatch, ap)
    if said is None:
        judged.judge.check_senior()
    else:
        with pytest.raises(ConfigurationError, match=said):
            judged.judge.check_senior()
    judged.network.inputs = ("image",)
    with pytest.raises(ConfigurationError, match="reads no masks: give it as --senior-rgb"):
        judged.judge.check_senior()


def test_what_is_missing_is_named(coco: Path, teachers: tuple[str, ...]) -> None:
    from coco.options import parse_options

    def options(*arguments: str) -> Namespace:
        return parse_options("", arguments)

    data = ("--data", str(coco))
    assert options(*data, *teachers).boxes is not None
    with pytest.raises(ConfigurationError, match="no step 'train', only check, senior, plain, distill, evaluate"):
        options("train", *data)
    with pytest.raises(ConfigurationError, match="give --primary"):
        options(*data)
    with pytest.raises(ConfigurationError, match="give --senior-rgb"):
        options(*data, *teachers[:2])
    with pytest.raises(ConfigurationError, match="take the step 'senior', or give --senior"):
        options("distill", *data, *teachers, "--out", str(coco / "nowhere"))
    with pytest.raises(
        ConfigurationError, match=r"rgb.pth' learned by squared error.*--binarized both, or --loss mse"
    ):
        options(*data, *teachers, "--binarized", "none")
    options(*data, *teachers, "--binarized", "none", "--loss", "mse")
    (coco / "nowhere" / "plain").mkdir(parents=True)  # a student that is still being trained has no file
    with pytest.raises(ConfigurationError, match=r"plain/student.safetensors': take the step 'plain' to its end"):
        options("evaluate", *data, "--out", str(coco / "nowhere"))
    options("plain", "distill", "evaluate", *data, *teachers, "--senior", teachers[3])
    (coco / "images").mkdir()
    for split in ("train2017", "val2017"):
        (coco / split).rename(coco / "images" / split)
    assert options("plain", *data).train_images == coco / "images" / "train2017"
    (coco / "annotations" / "person_keypoints_train2017.json").unlink()
    with pytest.raises(ConfigurationError, match=r"train2017.json': give --data or --train-annotations"):
        options("plain", *data)


def test_a_missing_validation_picture_is_no_lower_ap(coco: Path) -> None:
    from coco.options import parse_options
    from coco.persons import Persons

    persons = Persons(parse_options("", ["plain", "--data", str(coco), "--workers", "0"]))
    assert persons.codec.name == "msra"
    persons.evaluator(persons.codec)
    next((coco / "val2017").iterdir()).unlink()
    with pytest.raises(DataError, match="1 pictures"):
        persons.evaluator(persons.codec)


def test_the_page_s_commands_are_taken() -> None:
    from coco.options import _parser

    text = (EXAMPLES.parent / "docs" / "how-to" / "coco.md").read_text(encoding="utf-8").replace("\\\n", " ")
    shared = re.search(r'^common="(.*)"$', text, re.MULTILINE)
    assert shared is not None
    text = text.replace("$common", shared[1]).replace("$seed", "0")
    calls = re.findall(r"python examples/coco_odkd\.py .* --.*", text)
    scripts = [shlex.split(call.split("`")[0].rstrip("& "))[2:] for call in calls if "..." not in call]
    assert [_parser("").parse_args(options).steps for options in scripts] == [
        *([], ["check", "senior"], ["plain"], ["distill"], ["evaluate"])
    ]
    (study,) = re.findall(r"kdkit-pose ablate (.*) &", text)
    load_command("ablate").make_context("ablate", shlex.split(study))
