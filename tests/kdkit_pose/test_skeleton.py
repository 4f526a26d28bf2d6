from dataclasses import replace

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton


def test_coco_sigmas_are_those_of_pycocotools():
    assert np.array_equal(COCO.sigmas, Params(iouType="keypoints").kpt_oks_sigmas)


@pytest.mark.parametrize("skeleton", [COCO, CROWDPOSE], ids=lambda skeleton: skeleton.name)
def test_flip_permutation_exchanges_left_and_right_and_undoes_itself(skeleton: Skeleton):
    order = skeleton.flip_permutation
    assert [order[index] for index in order] == list(range(skeleton.num_keypoints))
    for index, name in enumerate(skeleton.keypoints):
        mirrored = name.replace("left", "R").replace("right", "left").replace("R", "right")
        assert skeleton.keypoints[order[index]] == mirrored


@pytest.mark.parametrize(
    "change",
    [
        {"keypoints": ()},
        {"keypoints": ("nose",) * 17},
        {"sigmas": COCO.sigmas[:-1]},
        {"sigmas": (0.0, *COCO.sigmas[1:])},
        {"sigmas": (float("nan"), *COCO.sigmas[1:])},
        {"flip_pairs": ((1, 17),)},
        {"flip_pairs": ((1, 2), (2, 3))},
        {"limbs": ((-1, 2),)},
        {"upper_body": (3, 3)},
    ],
)
def test_contradictions_are_refused(change):
    with pytest.raises(ConfigurationError, match="coco"):
        replace(COCO, **change)


def test_from_category_finds_what_a_coco_file_says():
    category = {
        "name": "coco",
        "keypoints": list(COCO.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in COCO.limbs],
    }
    assert Skeleton.from_category(category, sigmas=COCO.sigmas) == COCO


@pytest.mark.parametrize("known", [COCO, CROWDPOSE], ids=lambda skeleton: skeleton.name)
def test_known_keypoints_are_the_known_skeleton_whatever_the_category_says_of_limbs(known: Skeleton):
    category = {"name": "person", "keypoints": list(known.keypoints), "skeleton": [[16, 14], [1, 99]]}
    assert Skeleton.from_category(category) == known
    assert Skeleton.from_category(category, sigmas=[0.1] * known.num_keypoints) == replace(
        known, sigmas=(0.1,) * known.num_keypoints
    )


def test_crowdpose_sigmas_are_its_own():
    tenths = [0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79]
    assert CROWDPOSE.sigmas == pytest.approx(np.array(tenths) / 10)


@pytest.fixture
def dog() -> dict[str, object]:
    """A category of a file of one's own."""
    return {
        "name": "dog",
        "keypoints": ["nose", "left_ear", "right_ear", "left_paw", "right_paw", "tail"],
        "skeleton": [[1, 2], [1, 3], [4, 6]],
        "sigmas": [0.02, 0.03, 0.03, 0.08, 0.08, 0.1],
    }


def test_a_category_of_ones_own_says_all(dog):
    skeleton = Skeleton.from_category(dog)
    assert skeleton.name == "dog"
    assert skeleton.flip_pairs == ((1, 2), (3, 4))
    assert skeleton.limbs == ((0, 1), (0, 2), (3, 5))
    assert skeleton.sigmas == (0.02, 0.03, 0.03, 0.08, 0.08, 0.1)
    assert Skeleton.from_category(dog, sigmas=[0.5] * 6).sigmas == (0.5,) * 6


def test_sigmas_that_nothing_says_are_asked_for_with_every_way_to_give_them(dog):
    del dog["sigmas"]
    with pytest.raises(ConfigurationError) as caught:
        Skeleton.from_category(dog)
    for way in ("'dog'", "6 keypoints", "sigmas=[...]", '"sigmas": [...]', "--sigmas", "coco-like"):
        assert way in str(caught.value)


def test_the_rough_choice_is_cocos_by_name_and_its_mean_elsewhere(dog):
    skeleton = Skeleton.from_category(dog, sigmas="coco-like")
    mean = sum(COCO.sigmas) / 17
    assert skeleton.sigmas == (COCO.sigmas[0], COCO.sigmas[3], COCO.sigmas[4], mean, mean, mean)


@pytest.mark.parametrize("sigmas", ["rough", [0.1] * 5, [0.1] * 7, ["a"] * 6, [0.1] * 5 + [0.0], 0.1, [None] * 6])
def test_sigmas_that_cannot_be_are_refused(dog, sigmas):
    with pytest.raises(ConfigurationError, match=r"'dog'.*sigmas"):
        Skeleton.from_category(dog, sigmas=sigmas)


def test_a_side_without_the_other_is_named_and_may_be_stated(dog):
    dog["keypoints"][2] = "right_eye"
    with pytest.raises(ConfigurationError, match=r"'left_ear' is of the left.*flip_pairs=.*\"flip_pairs\": "):
        Skeleton.from_category(dog)
    pairs = [["left_ear", "right_eye"], ["left_paw", "right_paw"]]
    assert Skeleton.from_category(dog, flip_pairs=pairs).flip_pairs == ((1, 2), (3, 4))
    assert Skeleton.from_category({**dog, "flip_pairs": pairs}).flip_pairs == ((1, 2), (3, 4))


def test_names_that_tell_nothing_need_stated_pairs_which_may_be_none(dog):
    dog["keypoints"] = list("abcdef")
    with pytest.raises(ConfigurationError, match=r"no keypoint's name tells left from right"):
        Skeleton.from_category(dog)
    assert Skeleton.from_category(dog, flip_pairs=()).flip_pairs == ()
    assert Skeleton.from_category({**dog, "flip_pairs": [["b", "c"]]}).flip_pairs == ((1, 2),)


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([["left_ear", "right_paw"], ["left_paw", "right_ear"]], "'left_ear' with 'right_paw'"),
        ([["left_ear", "left_paw"]], "'left_ear' with 'left_paw'"),
        ([["left_ear", "right_ear"]], "'left_paw' is in no flip pair"),
        ([], "'left_ear' is in no flip pair"),
        ([["left_ear", "nose"], ["left_paw", "right_paw"]], "'left_ear' with 'nose'"),
        ([["left_ear", "right_eye"]], "no pair of its keypoints' names"),
        ([["left_ear"]], "no pair of its keypoints' names"),
        (["ab"], "no pair of its keypoints' names"),
        ([[1, 2]], "no pair of its keypoints' names"),
        ([["left_ear", "left_ear"]], "twice"),
    ],
)
def test_wrong_pairs_are_named(dog, pairs, named):
    with pytest.raises(ConfigurationError, match="dog") as caught:
        Skeleton.from_category(dog, flip_pairs=pairs)
    assert named in str(caught.value)


def test_two_of_one_side_are_no_pair_even_where_the_other_side_is_not_there(dog):
    dog["keypoints"] = ["nose", "left_ear", "left_paw", "a", "b", "c"]
    with pytest.raises(ConfigurationError, match="'left_ear' with 'left_paw', but both are of one side"):
        Skeleton.from_category(dog, flip_pairs=[["left_ear", "left_paw"]])
    assert Skeleton.from_category(dog, flip_pairs=[["left_ear", "a"]]).flip_pairs == ((1, 3),)


def test_a_skeleton_made_by_hand_is_checked_alike():
    with pytest.raises(ConfigurationError, match="'left_eye' with 'right_ear'"):
        replace(COCO, flip_pairs=((1, 4), (3, 2), *COCO.flip_pairs[2:]))
    with pytest.raises(ConfigurationError, match="'left_ankle' is in no flip pair"):
        replace(COCO, flip_pairs=COCO.flip_pairs[:-1])


def test_limbs_of_keypoints_that_there_are_not_are_left_out_with_a_warning(dog):
    dog["skeleton"] = [[1, 2], [6, 7], [0, 1]]
    with pytest.warns(UserWarning, match="'dog': left out 2 of 3 limbs"):
        assert Skeleton.from_category(dog).limbs == ((0, 1),)
    for nonsense in ([[1]], [[1, "b"]], [7]):
        with pytest.raises(ConfigurationError, match="pairs of keypoint numbers"):
            Skeleton.from_category({**dog, "skeleton": nonsense})


def test_metadata_bring_the_skeleton_back_equal_to_the_bit(dog):
    for skeleton in (COCO, CROWDPOSE, Skeleton.from_category(dog), replace(COCO, sigmas=(1 / 3,) * 17, name="ü")):
        metadata = skeleton.to_metadata()
        assert all(isinstance(text, str) for pair in metadata.items() for text in pair)
        assert Skeleton.from_metadata({**metadata, "codec": "dark"}) == skeleton


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": "x"}', COCO.to_metadata()["skeleton"].replace("[1,2]", "1")]
)
def test_metadata_that_cannot_be_read_say_so(text):
    with pytest.raises(ConfigurationError, match="skeleton metadata cannot be read"):
        Skeleton.from_metadata({"skeleton": text})
    with pytest.raises(ConfigurationError, match="'skeleton' is missing"):
        Skeleton.from_metadata({"codec": text})


def test_from_category_without_keypoints_says_so():
    with pytest.raises(DataError, match=r"person.*no keypoints"):
        Skeleton.from_category({"name": "person"})
