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
    assert len(set(Skeleton.from_category(category).sigmas)) == 1


def test_from_category_without_keypoints_says_so():
    with pytest.raises(DataError, match=r"person.*no keypoints"):
        Skeleton.from_category({"name": "person"})
