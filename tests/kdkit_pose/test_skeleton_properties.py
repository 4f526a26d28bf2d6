"""Whatever a file says of a skeleton: it holds together, or is refused."""

import json
import warnings
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kdkit.errors import ConfigurationError, KdkitError
from kdkit_pose.data import read_skeleton
from kdkit_pose.skeleton import COCO, Skeleton

quick = settings(derandomize=True, max_examples=80)
JOINTS = st.lists(st.text("abcdefgh", min_size=2, max_size=4), unique=True, min_size=1, max_size=6)
NONSENSE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 10**30), st.floats(), st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@quick
@given(JOINTS, st.randoms(use_true_random=False), st.data())
def test_a_skeleton_survives_its_metadata_and_mirrors_back(joints: list[str], random: Any, data: Any) -> None:
    names = [f"{side}_{joint}" for joint in joints for side in ("left", "right")] + ["top"]
    random.shuffle(names)
    sigmas = data.draw(st.lists(st.floats(1e-3, 1), min_size=len(names), max_size=len(names)))
    limbs = [[random.randint(1, len(names)), random.randint(1, len(names))] for _ in range(4)]
    skeleton = Skeleton.from_category({"name": "it", "keypoints": names, "skeleton": limbs}, sigmas)
    assert Skeleton.from_metadata(skeleton.to_metadata()) == skeleton
    assert skeleton.keypoints == tuple(names)
    mirror = skeleton.flip_permutation
    assert [mirror[mirror[place]] for place in range(len(names))] == list(range(len(names)))
    assert all(names[mirror[place]] == _other(name) for place, name in enumerate(names))


def _other(name: str) -> str:
    side, _, joint = name.partition("_")
    return {"left": f"right_{joint}", "right": f"left_{joint}"}.get(side, name)


@quick
@given(st.sampled_from(["name", "keypoints", "flip_pairs", "limbs", "sigmas", "upper_body"]), NONSENSE)
def test_metadata_say_a_skeleton_or_are_refused(key: str, value: Any) -> None:
    content = json.loads(COCO.to_metadata()["skeleton"]) | {key: value}
    try:
        found = Skeleton.from_metadata({"skeleton": json.dumps(content)})
    except ConfigurationError:
        return
    assert all(isinstance(name, str) for name in found.keypoints)
    assert len(found.sigmas) == found.num_keypoints
    assert sorted(found.flip_permutation) == list(range(found.num_keypoints))


@quick
@given(st.sampled_from(["id", "name", "keypoints", "skeleton", "sigmas", "flip_pairs", "itself"]), NONSENSE)
def test_a_category_says_a_skeleton_or_is_refused(key: str, value: Any) -> None:
    names = ["nose", "left_hand", "right_hand"]
    category: Any = {"id": 1, "name": "doll", "keypoints": names, "sigmas": [0.1] * 3}
    category = value if key == "itself" else category | {key: value}
    content = {"images": [], "annotations": [], "categories": [category]}
    assume(key != "keypoints" or value)  # without any, COCO's are assumed
    try:
        with warnings.catch_warnings(action="ignore"):  # of limbs that there are not
            found = read_skeleton(content)
    except KdkitError:
        return
    assert found.num_keypoints == len(found.sigmas)
    assert sorted(found.flip_permutation) == list(range(found.num_keypoints))
