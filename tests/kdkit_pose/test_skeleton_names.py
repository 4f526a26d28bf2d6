import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdkit.errors import ConfigurationError
from kdkit_pose.skeleton_names import check_flip_pairs, find_flip_pairs, side


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_eye", "right_eye"),
        ("eye_left", "eye_right"),
        ("Left Eye", "Right Eye"),
        ("l_eye", "r_eye"),
        ("L-eye", "R-eye"),
        ("eye.l", "eye.r"),
        ("leftEye", "rightEye"),
        ("LeftEye", "RightEye"),
        ("LEye", "REye"),
        ("eyeL", "eyeR"),
        ("hand_left_thumb1", "hand_right_thumb1"),
        ("left", "right"),
    ],
)
def test_spellings_of_left_and_right_are_known(left, right):
    assert find_flip_pairs(["nose", right, left], "x") == ((2, 1),)


@pytest.mark.parametrize(
    "name", ["nose", "cleft", "upright", "larynx", "rear", "left_of_right_eye", "l", "R", "", "lip"]
)
def test_other_names_tell_no_side(name):
    assert side(name) is None


@given(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), st.randoms())
def test_pairs_are_found_in_any_order_of_keypoints(joints, random):
    names = [f"{word}_{joint}" for joint in joints for word in ("left", "right")] + ["nose"]
    random.shuffle(names)
    pairs = find_flip_pairs(names, "x")
    assert len(pairs) == len(joints)
    for left, right in pairs:
        assert names[left].replace("left", "right") == names[right]


def test_one_side_alone_is_refused():
    with pytest.raises(ConfigurationError, match="body: the keypoint 'right_eye' is of the right"):
        find_flip_pairs(["right_eye", "left_ear", "right_ear"], "body")


@pytest.mark.parametrize(
    ("left", "right"),
    [("lhip", "rhip"), ("LHIP", "RHIP"), ("hipl", "hipr"), ("lefthip", "righthip"), ("l1", "r1")],
)
@pytest.mark.parametrize("toes", [(), ("left_toe", "right_toe")])
def test_a_side_that_is_no_word_is_asked_for(left, right, toes):
    with pytest.raises(ConfigurationError, match=f"body: the keypoints '{left}' and '{right}' .*flip_pairs"):
        find_flip_pairs(["nose", left, right, *toes], "body")


def test_a_name_like_one_side_alone_is_none():
    assert find_flip_pairs(["lip", "larynx", "rear", "left_toe", "right_toe"], "body") == ((3, 4),)


def test_two_names_of_one_side_and_rest_are_refused():
    names = ["nose", "left_eye", "eye_left", "right_eye"]
    with pytest.raises(ConfigurationError, match="'left_eye' and 'eye_left' are both of the left"):
        find_flip_pairs(names, "face")
    names.append("eye_right")
    # Stated, either may be the other's.
    check_flip_pairs(names, ((1, 3), (2, 4)), "face")
    check_flip_pairs(names, ((1, 4), (2, 3)), "face")
    with pytest.raises(ConfigurationError, match="'eye_left' is in no flip pair"):
        check_flip_pairs(names, ((1, 3),), "face")
