"""Teachers whose files say how they are decoded: discs by centroid, Gaussians by peak."""

from dataclasses import replace

import pytest

from kdkit import Epochs
from kdkit_pose import models, recipes
from kdkit_pose.cli.options import build_codec
from kdkit_pose.cli.teachers import TeacherFile, load_teachers
from kdkit_pose.codecs import DARK
from kdkit_pose.skeleton import COCO

CODEC = DARK(input_size=(64, 64))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Untrained networks whose files say peak, centroid and nothing."""
    folder = tmp_path_factory.mktemp("teachers")
    network = models.create("hrnet_w8_small")
    for decoder in ("peak", "centroid"):
        codec = replace(CODEC, decoder=decoder)
        models.save(network, folder / f"{decoder}.safetensors", **codec.to_metadata(), **COCO.to_metadata())
    models.save(network, folder / "silent.safetensors", **COCO.to_metadata())
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def load(files):
    def of(recipe, primary, senior):
        given = {"primary": TeacherFile(files[primary]), "senior": TeacherFile(files[senior])}
        return load_teachers(recipe, given, COCO, "the data")

    return of


def odkd(teachers, **options):
    return recipes.odkd(*teachers.by_role.values(), primary_until=Epochs(1), senior_until=Epochs(1), **options)


@pytest.mark.parametrize(
    ("primary", "senior", "binarized", "expected"),
    [
        ("peak", "peak", "none", "peak"),
        ("peak", "peak", "both", "centroid"),
        ("peak", "centroid", "none", "centroid"),
        ("centroid", "peak", "none", "peak"),  # discs in the first stage only
        ("silent", "silent", "none", "peak"),
    ],
)
def test_a_student_is_decoded_as_what_it_learned_last(load, primary, senior, binarized, expected):
    teachers = load("odkd", primary, senior)
    assert teachers.student_decoder(odkd(teachers, senior_binarized=binarized)) == expected


def test_a_teacher_without_a_share_of_the_loss_decides_nothing(load):
    teachers = load("odkd", "peak", "centroid")
    assert teachers.student_decoder(odkd(teachers, senior_binarized="none", alpha=0.0)) == "peak"


def test_discs_and_gaussians_are_one_convention_and_are_told_apart(load):
    teachers = load("odkd", "peak", "centroid")
    assert teachers.codec == CODEC
    assert teachers.decoders == {"primary": "peak", "senior": "centroid"}
    as_they_are = {"primary_binarized": "none", "senior_binarized": "none"}
    assert "the primary Gaussians, the senior discs" in teachers.disagreement(odkd(teachers, **as_they_are))
    assert teachers.disagreement(odkd(teachers)) is None  # binarized, all are discs
    assert teachers.disagreement(odkd(teachers, primary_binarized="none")) is None
    others = load("odkd", "peak", "peak")
    assert others.disagreement(odkd(others, **as_they_are)) is None


def test_discs_beside_the_truths_gaussians_are_told(load):
    as_they_are = {"primary_binarized": "none", "senior_binarized": "none"}
    for primary, told in (
        ("centroid", "the primary and the senior learned discs"),
        ("silent", "the senior learned"),
    ):
        teachers = load("odkd", primary, "centroid")
        assert told in teachers.disagreement(odkd(teachers, **as_they_are))
        truth = {"primary_binarized": "truth", "senior_binarized": "truth"}
        assert teachers.disagreement(odkd(teachers, **truth)) is None


def test_the_command_decodes_teacher_and_student_by_centroid(chain, run, files, tmp_path, monkeypatch):
    from kdkit_pose.evaluation import Evaluator

    used = []
    results = Evaluator.results
    monkeypatch.setattr(
        Evaluator, "results", lambda self, net: used.append(self._codec.decoder) or results(self, net)
    )
    out = tmp_path / "fpd"
    run(
        *("distill", "--recipe", "fpd", "--student", "hrnet_w8_small", *chain.data, "--epochs", 1, "--out", out),
        *("--primary", files["centroid"], "--val-annotations", chain.val, "--evaluate-every", 1, "--no-augment"),
    )
    assert used == ["centroid", "centroid"]  # the teacher, then the student
    assert models.read_metadata(out / "student.safetensors")["codec_decoder"] == "centroid"


def test_the_command_warns_of_discs_beside_gaussians(chain, run, files, tmp_path):
    arguments = ("distill", "--recipe", "joint", "--student", "hrnet_w8_small", *chain.data, "--no-augment")
    teachers = ("--primary", files["peak"], "--senior", files["centroid"], "--epochs", 1)
    text = run(*arguments, *teachers, "--loss", "mse", "--out", tmp_path / "joint")
    assert "warning: the teachers' heatmaps differ in shape" in text


def test_a_size_that_is_the_files_own_keeps_its_sigma():
    known = DARK(input_size=(64, 64), sigma=1.5)
    assert build_codec(None, "64x64", None, known=known) == known
    assert build_codec(None, "128x64", None, known=known).sigma == 2.0
    assert build_codec(None, "64x64", 3.0, known=known).sigma == 3.0
