"""The demonstration from end to end, tiny: what it writes, that it repeats, and that it goes on."""

import json

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from kdkit import ConfigurationError, RunFolderError
from kdkit_pose import models
from kdkit_pose.demo import DemoSettings, run_demo

TINY = DemoSettings(
    train_pictures=8,
    val_pictures=4,
    input_size=(32, 64),
    teacher="hrnet_w8_small",
    student="hrnet_w8_small",
    batch_size=4,
    primary_epochs=1,
    senior_epochs=1,
    student_epochs=2,
    people_shown=2,
)
RUNS = ("primary-teacher", "senior-teacher", "plain-student", "odkd-student")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder, run_demo(folder, TINY, seed=3, console=Console(quiet=True))
    torch.set_num_threads(threads)


def test_four_networks_are_evaluated_in_order(finished):
    _, result = finished
    assert [run.name for run in result.runs] == [name.replace("-", " ") for name in RUNS[:3]] + ["ODKD student"]
    assert all(run.metrics["boxes"] == "ground truth" and run.metrics["AP"] is not None for run in result.runs)


def test_both_students_have_the_same_length_and_begin_alike(finished):
    folder, result = finished
    plain, odkd = result.runs[2:]
    assert plain.lines[-1]["step"] == odkd.lines[-1]["step"] > 0
    assert [line["epoch"] for line in plain.lines] == [line["epoch"] for line in odkd.lines]
    assert [line["stage"] for line in odkd.lines] == ["primary", "senior"]
    configs = [json.loads((folder / run / "config.json").read_text()) for run in RUNS[2:]]
    for key in ("student", "optimizer", "trainer"):
        assert configs[0][key] == configs[1][key]
    for key in ("seed", "data", "model", "batch_size"):
        assert configs[0]["config"][key] == configs[1]["config"][key]


def test_students_are_plain_networks_that_say_what_they_are(finished):
    folder, _ = finished
    for run in RUNS[2:]:
        path = folder / run / "student.safetensors"
        models.create("hrnet_w8_small").load_state_dict(load_file(path), strict=True)
        metadata = models.read_metadata(path)
        said = tuple(metadata[name] for name in ("model", "activation", "codec_decoder"))
        assert said == ("hrnet_w8_small", "sigmoid", "centroid")


def test_the_senior_begins_with_the_primarys_weights(finished):
    folder, _ = finished
    primary, senior = (load_file(folder / run / "student.safetensors") for run in RUNS[:2])
    assert senior["conv1.weight"].shape[1] == 4
    # One epoch of four steps moves the weights a little, a fresh start would be far away.
    far = (models.create("hrnet_w8_small").conv2.weight - primary["conv2.weight"]).abs().mean()
    assert (senior["conv2.weight"] - primary["conv2.weight"]).abs().mean() < 0.5 * far


def test_the_report_has_its_pictures(finished):
    folder, result = finished
    page = result.report.read_text()
    assert result.report == folder / "report.html"
    assert page.count("<img") == 4
    assert "one seed" in page


def test_a_second_call_finds_all_done_and_gives_the_same(finished):
    folder, result = finished
    before = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}
    again = run_demo(folder, TINY, seed=3, console=Console(quiet=True))
    assert [run.metrics for run in again.runs] == [run.metrics for run in result.runs]
    assert before == {path: path.read_bytes() for path in folder.rglob("*.safetensors")}


def test_another_demo_in_the_same_folder_is_refused(finished):
    folder, _ = finished
    with pytest.raises(RunFolderError, match="other people"):
        run_demo(folder, TINY, seed=4, console=Console(quiet=True))


def test_too_few_epochs_are_refused():
    with pytest.raises(ConfigurationError, match="at least two"):
        DemoSettings(student_epochs=1)
