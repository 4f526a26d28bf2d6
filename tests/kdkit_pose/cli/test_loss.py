"""``--loss`` of the commands that train: what is learned, and what follows from it."""

import json

import pytest
import torch

from kdkit_pose import codecs, models
from kdkit_pose.codecs import DARK
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.skeleton import COCO

NET = "hrnet_w8_small"


@pytest.fixture(scope="module")
def squares(chain, run, tmp_path_factory):
    """A network that learned Gaussians by squared error."""
    out = tmp_path_factory.mktemp("loss") / "squares"
    run("train", "--model", NET, *chain.data, "--input-size", "64x64", *of(out), "--loss", "mse")
    return out / "student.safetensors"


def of(out):
    return ["--epochs", 1, "--out", out]


def what(path):
    """A network's activation, its decoder, and what its run's config says of the loss."""
    config = json.loads((path.parent / "config.json").read_text())["config"]
    decoder = codecs.from_metadata(models.read_metadata(path)).decoder
    return models.load(path).activation, decoder, config.get("loss")


def test_networks_learn_discs_behind_a_sigmoid_unless_told_otherwise(chain, squares):
    for name in ("primary", "senior", "odkd"):
        assert what(chain.student(name)) == ("sigmoid", "centroid", "bce")
    assert what(squares) == ("none", "peak", None)


def test_a_network_goes_on_by_the_loss_of_the_one_it_starts_from(chain, squares, run, fail, tmp_path):
    further = ("train", "--model", NET, *chain.data)
    run(*further, "--checkpoint", squares, *of(tmp_path / "on"))
    assert what(tmp_path / "on" / "student.safetensors") == ("none", "peak", None)
    told = fail(*further, "--checkpoint", squares, "--loss", "bce", *of(tmp_path / "other"))
    assert "--loss bce does not fit --checkpoint" in told
    assert "ends without a sigmoid: leave out --loss, to go on by mse" in told
    told = fail(*further, "--checkpoint", chain.student("primary"), "--loss", "mse", *of(tmp_path / "other"))
    assert "ends with a sigmoid" in told
    assert not (tmp_path / "other").exists()


def test_a_student_may_learn_either_from_teachers_of_either(chain, squares, run, tmp_path):
    distill = ("distill", "--recipe", "primary_only", "--student", NET, *chain.data)
    run(*distill, "--primary", squares, *of(tmp_path / "discs"))
    assert what(tmp_path / "discs" / "student.safetensors") == ("sigmoid", "centroid", "bce")
    run(*distill, "--primary", squares, "--loss", "mse", *of(tmp_path / "gaussians"))
    assert what(tmp_path / "gaussians" / "student.safetensors") == ("none", "peak", None)
    run(*distill, "--primary", chain.student("primary"), "--binarize", "truth", *of(tmp_path / "soft"))
    assert what(tmp_path / "soft" / "student.safetensors") == ("sigmoid", "centroid", "bce")


def test_what_is_binarized_is_said_of_every_stage_by_cross_entropy_and_of_the_last_by_squared_error(
    chain, run, tmp_path
):
    teachers = ["--primary", chain.student("primary"), "--senior", chain.student("senior")]
    distill = ("distill", "--recipe", "odkd", "--student", NET, *chain.data, *teachers, "--epochs", 2)
    found = {}
    for loss in ("bce", "mse"):
        run(*distill, "--loss", loss, "--binarize", "truth", "--out", tmp_path / loss)
        stages = json.loads((tmp_path / loss / "config.json").read_text())["curriculum"]
        found[loss] = ["Binarize" in json.dumps(stage) for stage in stages]
    assert found == {"bce": [True, True], "mse": [False, True]}


def test_gaussians_are_no_probabilities(chain, squares, fail, tmp_path):
    distill = ("distill", "--recipe", "primary_only", "--student", NET, *chain.data, "--primary", squares)
    told = fail(*distill, "--binarize", "truth", *of(tmp_path / "run"))
    assert "the teacher's heatmaps are none" in told
    assert "--binarize both" in told
    assert not (tmp_path / "run").exists()


def test_fpd_learns_by_squared_error(chain, squares, run, fail, tmp_path):
    distill = ("distill", "--recipe", "fpd", "--student", NET, *chain.data, "--primary", chain.student("primary"))
    assert "recipe 'fpd' learns by mse: leave out --loss bce" in fail(
        *distill, "--loss", "bce", *of(tmp_path / "run")
    )
    printed = run(*distill, *of(tmp_path / "run"))
    assert "the primary learned discs, as the file says, and the ground truth is Gaussians" in printed
    assert what(tmp_path / "run" / "student.safetensors")[::2] == ("none", None)
    run(*distill, "--primary", squares, *of(tmp_path / "alike"))
    told = fail(*distill, "--checkpoint", chain.student("odkd"), *of(tmp_path / "further"))
    assert "recipe 'fpd' learns by mse, and the network of --checkpoint" in told
    assert "take primary_only, or other weights" in told


@pytest.mark.parametrize("given", [("--fast-teachers",), ("--primary-cache",)])
def test_gaussians_are_no_probabilities_whoever_gives_them(chain, run, fail, tmp_path, given):
    network, squares = models.create(NET), tmp_path / "squares.safetensors"
    with torch.no_grad():
        network.final_layer.bias -= 0.05  # below 0 where nothing is, as trained ones are
    models.save(network, squares, **DARK(input_size=(64, 64)).to_metadata(), **COCO.to_metadata())
    if given[0] == "--primary-cache":
        given = ("--primary-cache", tmp_path / "cache")
        persons = chain.data[chain.data.index("--train-annotations") + 1]
        data = ("--annotations", persons, "--images", chain.images)
        run("cache", "build", "--teacher", squares, *data, "--views", 1, "--out", given[1])
    distill = ("distill", "--recipe", "primary_only", "--student", NET, *chain.data, "--primary", squares)
    told = fail(*distill, *given, "--binarize", "truth", *of(tmp_path / "run"))
    assert "bce takes targets in [0, 1], but the target 'heatmap' goes from -" in told


def test_a_dry_run_decodes_teachers_whose_files_say_nothing_as_the_run_does(chain, run, tmp_path, monkeypatch):
    bare, used = tmp_path / "bare.pth", []
    torch.save(models.create(NET).state_dict(), bare)
    decoded_by = Evaluator.decoded_by
    monkeypatch.setattr(Evaluator, "decoded_by", lambda self, how: (used.append(how), decoded_by(self, how))[1])
    teacher = ["--primary", bare, "--codec", "dark", "--input-size", "64x64", "--val-annotations", chain.val]
    distill = ("distill", "--recipe", "primary_only", "--student", NET, *chain.data, *teacher)
    run(*distill, *of(tmp_path / "run"), "--dry-run")
    assert used.count("peak") == 1


def test_another_loss_is_another_run(chain, squares, fail):
    same = ("train", "--model", NET, *chain.data, "--input-size", "64x64", *of(squares.parent))
    assert "--loss (there mse, now bce)" in fail(*same)
