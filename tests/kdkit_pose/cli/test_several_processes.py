"""Commands that torchrun starts several times."""

import json

import pytest

from kdkit_pose import SyntheticPeople
from kdkit_pose.synthetic import write_coco
from tests.started import run

COMMAND = ("-c", "from kdkit_pose_cli import main; main()")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    return write_coco(SyntheticPeople(5, seed=1, size=(160, 120)), folder, "some"), folder / "images"


@pytest.fixture(scope="module")
def trained(people, tmp_path_factory):
    """The folder of a student that two processes have trained."""
    file, images = people
    out = tmp_path_factory.mktemp("runs") / "student"
    options = ["--model", "hrnet_w8_small", "--input-size", "64x64", "--epochs", "1", "--batch-size", "2"]
    data = ["--train-annotations", file, "--images", images, "--val-annotations", file, "--val-images", images]
    ended = run(2, [*COMMAND, "train", *options, *data, "--out", out])
    assert [code for code, _, _ in ended] == [0, 0], ended
    return out, ended


def test_only_the_first_prints_and_writes(trained):
    out, ((_, told, _), (_, silent, _)) = trained
    assert str(out / "student.safetensors") in told.replace("\n", "")
    assert silent == ""
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 1


def test_an_evaluation_that_is_shared_has_the_figures_and_persons_of_one(people, trained, tmp_path):
    (file, images), (out, _) = people, trained
    found = {}
    for count in (1, 2):
        written = [tmp_path / f"{name}-{count}.json" for name in ("figures", "results")]
        options = ["--checkpoint", out / "student.safetensors", "--annotations", file, "--images", images]
        options += ["--batch-size", "2", "--json", written[0], "--results", written[1]]
        ended = run(count, [*COMMAND, "evaluate", *options])
        assert [code for code, _, _ in ended] == [0] * count, ended
        found[count] = [json.loads(path.read_text()) for path in written]
    assert found[1] == found[2]


def test_the_figures_of_a_cache_are_those_of_all_that_build_it(people, trained, tmp_path):
    (file, images), (out, _) = people, trained
    options = ["--teacher", out / "student.safetensors", "--annotations", file, "--images", images, "--views", "2"]
    options += ["--transform", "binarize", "--batch-size", "2", "--out", tmp_path / "cache"]
    ended = run(2, [*COMMAND, "cache", "build", *options, "--json", tmp_path / "figures.json"])
    assert [code for code, _, _ in ended] == [0, 0], ended
    found = json.loads((tmp_path / "figures.json").read_text())
    assert (found["made"], found["found"], found["missing_shards"]) == (found["records"], 0, 0)
    assert found["several_components"]["maps"] == 17 * found["records"]


def test_a_command_of_one_process_refuses_several(tmp_path):
    ended = run(2, [*COMMAND, "synthesize", "--out", tmp_path / "people"])
    assert [code for code, _, _ in ended] == [2, 2]
    for rank, (_, _, errors) in enumerate(ended):
        assert f"error in process {rank} of 2: kdkit-pose synthesize runs in one process" in errors
    assert not (tmp_path / "people").exists()
