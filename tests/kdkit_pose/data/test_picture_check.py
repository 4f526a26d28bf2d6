import cv2
import pytest

from kdkit_pose import CocoKeypoints, SyntheticPeople
from kdkit_pose.codecs import DARK
from kdkit_pose.data import check_pictures


@pytest.fixture
def made(tmp_path):
    """A folder of six pictures, each with persons, and what makes the data set of it."""
    people = SyntheticPeople(6, seed=1, size=(128, 96))
    content = people.annotations()
    for entry in content["images"]:
        cv2.imwrite(str(tmp_path / entry["file_name"]), people.picture(entry)[..., ::-1])
    return tmp_path, lambda: CocoKeypoints(content, tmp_path, codec=DARK(input_size=(32, 32)))


def test_all_is_well(made):
    found = check_pictures(made[1](), "training")
    assert (found.pictures, found.decoded, found.problems) == (6, 6, ())
    assert str(found) == "6 are there, 6 of them were decoded"


def test_what_was_left_out_for_its_picture_is_a_problem_and_nothing_else(made):
    folder, data = made
    names = sorted(path.name for path in folder.iterdir())
    (folder / names[0]).unlink()
    (folder / names[1]).write_bytes((folder / names[1]).read_bytes()[:-100])
    found = data()
    found.skipped.left_out.add("crowd region", "annotation 7")
    assert set(found.skipped.of_pictures) == {"picture is missing", "picture is truncated"}
    problems = check_pictures(found, "training").problems
    assert len(problems) == 2
    assert all("training persons cannot be seen: picture is" in problem for problem in problems)
    assert names[0] in problems[0]


@pytest.mark.parametrize(("sample", "seen"), [(6, True), (1, False)])
def test_only_what_is_decoded_is_known_to_be_a_picture(made, sample, seen):
    folder, data = made
    found = data()
    sorted(folder.iterdir())[-1].write_bytes(b"no picture at all")
    problems = check_pictures(found, "training", sample=sample).problems
    assert [("cannot be decoded" in problem) for problem in problems] == [True] * seen
