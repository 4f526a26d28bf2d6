"""The persons on whom students differ most: found by OKS, drawn both ways."""

import json

import cv2
import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from benchmarks import ablation_pictures
from benchmarks.ablation.persons import Person, compared_persons, most_changed, person_oks
from benchmarks.ablation.study_file import StudyFile
from benchmarks.ablation.tables import persons_table
from benchmarks.ablation_page import _persons
from kdkit import ConfigurationError
from kdkit_pose.ablation import SMALL
from kdkit_pose.codecs import DARK
from kdkit_pose.evaluation import load_annotations
from kdkit_pose.skeleton import COCO
from kdkit_pose.synthetic import SyntheticPeople


def person(place, difference):
    return Person(place, 1, 10, 0.5, 0.5 + difference, 0)


def test_oks_is_cocos():
    truth = SyntheticPeople(2, seed=3).annotations()
    draw = np.random.default_rng(0)
    results = []
    for one in truth["annotations"]:
        keypoints = np.array(one["keypoints"], dtype=float).reshape(-1, 3)
        keypoints[:, :2] += draw.normal(0, 4, (17, 2))
        shared = {"image_id": one["image_id"], "category_id": 1, "score": 1.0}
        results.append({**shared, "keypoints": keypoints.ravel().tolist()})
    coco = load_annotations(truth, COCO)
    evaluation = COCOeval(coco, coco.loadRes([dict(one) for one in results]), "keypoints")
    evaluation.evaluate()
    for image in truth["images"]:
        mine = [one for one in truth["annotations"] if one["image_id"] == image["id"]]
        found = [one for one in results if one["image_id"] == image["id"]]
        expected = evaluation.computeOks(image["id"], 1)
        for row, result in enumerate(found):
            for column, one in enumerate(mine):
                keypoints = np.array(result["keypoints"]).reshape(-1, 3)
                assert person_oks(one, keypoints, COCO.sigmas) == pytest.approx(expected[row, column])


def test_as_many_are_lost_as_gained():
    persons = [person(place, difference) for place, difference in enumerate([0.1, -0.2, 0.3, 0.0, 0.2, -0.1])]
    gained, lost = most_changed(persons, 3)
    assert [one.id for one in gained] == [2, 4]
    assert [one.id for one in lost] == [1, 5]
    assert most_changed(persons, 1) == ([persons[2]], [persons[1]])
    assert most_changed(persons[2:3], 3) == ([], [])


def test_a_persons_oks_is_the_mean_over_seeds_and_the_most_ordinary_seed_is_drawn():
    (annotation,) = SyntheticPeople(1, seed=1, crowded=0.0).annotations()["annotations"][:1]
    keypoints = np.array(annotation["keypoints"], dtype=float).reshape(-1, 3)

    def off(pixels):
        return {annotation["id"]: keypoints + np.array([pixels, 0, 0])}

    plain = {seed: off(10) for seed in (0, 1, 2)}
    distilled = {0: off(10), 1: off(4), 2: off(0)}
    (found,) = compared_persons([annotation], plain, distilled, COCO.sigmas, 1)
    each = [person_oks(annotation, distilled[seed][annotation["id"]], COCO.sigmas) for seed in (0, 1, 2)]
    assert found.distilled == pytest.approx(np.mean(each))
    assert found.difference == pytest.approx(np.mean(each) - found.plain)
    assert found.seed == 1
    assert compared_persons([annotation], plain, distilled, COCO.sigmas, 18) == []
    assert compared_persons([annotation], {0: {}}, {0: distilled[0]}, COCO.sigmas, 1) == []


@pytest.fixture(scope="module")
def made(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("images") / "ablation-small-persons.jpg"
    ablation_pictures.main(["--study", str(study), "--out", str(out), "--count", "1", "--least-labelled", "1"])
    return out


def test_the_picture_shows_truth_plain_and_distilled_both_ways(made):
    height, width, _ = cv2.imread(str(made)).shape
    panel = 1.7 * 160
    # Six panels beside each other, in two groups; a row of one person a group.
    assert 6 * panel < width < 6.5 * panel
    assert panel < height < 1.6 * panel


def test_the_file_beside_it_names_the_persons(made, study):
    content = json.loads(made.with_suffix(".json").read_text())
    assert (content["picture"], content["seeds"]) == (made.name, [0, 1])
    assert (content["plain"], content["distilled"]) == ("plain", "odkd")
    (gained,), (lost,) = content["gained"], content["lost"]
    assert lost["difference"] < 0 < gained["difference"]
    assert gained["difference"] == pytest.approx(gained["oks"]["odkd"] - gained["oks"]["plain"], abs=2e-6)
    assert content["raised"] + content["lowered"] <= content["persons"]
    annotations = json.loads((study.parent / "people" / "annotations" / "person_keypoints_val.json").read_text())[
        "annotations"
    ]
    truth = next(one for one in annotations if one["id"] == gained["id"])
    assert gained["labelled"] == sum(v > 0 for v in truth["keypoints"][2::3])


def test_the_page_shows_it(made):
    persons = json.loads(made.with_suffix(".json").read_text())
    shown = StudyFile("small", {}, persons=persons)
    text = _persons(shown)
    assert "![Persons as the truth, plain and odkd have them](../images/ablation-small-persons.jpg)" in text
    assert persons_table(shown) in text
    assert f"| gained | {persons['gained'][0]['id']} |" in text
    assert "From `docs/images/ablation-small-persons.json`." in text
    assert _persons(StudyFile("small", {})) == ""


def test_the_same_students_give_the_same_picture(made, study, tmp_path):
    out = tmp_path / made.name
    ablation_pictures.main(["--study", str(study), "--out", str(out), "--count", "1", "--least-labelled", "1"])
    assert out.read_bytes() == made.read_bytes()
    assert out.with_suffix(".json").read_bytes() == made.with_suffix(".json").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--distilled", "fpd"], "no seed for which both plain and fpd are finished"),
        (["--least-labelled", "18"], "of 0 persons, some must be raised and some lowered"),
    ],
)
def test_what_cannot_be_drawn_is_said(study, tmp_path, options, words):
    with pytest.raises(SystemExit, match=words):
        ablation_pictures.main(["--study", str(study), "--out", str(tmp_path / "a.jpg"), *options])
    assert not list(tmp_path.iterdir())


def test_other_people_are_refused(study, tmp_path):
    content = json.loads((study / "study.json").read_text())
    student = study / "plain" / "seed-0" / "run" / "student.safetensors"
    copy = study.parent / "exact-other"
    copy.mkdir()
    (copy / "study.json").write_text(json.dumps({**content, "validation": "other"}))
    with pytest.raises(ConfigurationError, match="are others than those that it was judged on"):
        ablation_pictures.persons_of(copy, None, None, student)
    (copy / "study.json").write_text(json.dumps({"validation": "other"}))
    with pytest.raises(ConfigurationError, match="of persons of its own: give --annotations and --images"):
        ablation_pictures.persons_of(copy, None, None, student)
    people = study.parent / "people"
    given = ablation_pictures.persons_of(
        *(copy, people / "annotations" / "person_keypoints_val.json", people / "images", student)
    )
    assert given.codec.same_convention(DARK((64, 64), SMALL.sigma))


def test_only_pictures_are_written(study, capsys):
    with pytest.raises(SystemExit):
        ablation_pictures.parse(["--study", str(study), "--out", "a.gif"])
    assert ".jpg or a .png" in capsys.readouterr().err
