import math

import numpy as np
import pytest

from kdkit_pose.evaluation import oks_nms, pairwise_oks, rescore
from kdkit_pose.skeleton import COCO


def slow_oks(first, second):
    """As the HRNet reference's oks_iou has it, in plain Python."""
    area = (math.prod(first["scale"]) + math.prod(second["scale"])) / 2 + np.spacing(1)
    total = 0.0
    for k, sigma in enumerate(COCO.sigmas):
        dx = first["keypoints"][3 * k] - second["keypoints"][3 * k]
        dy = first["keypoints"][3 * k + 1] - second["keypoints"][3 * k + 1]
        total += math.exp(-(dx**2 + dy**2) / (2 * sigma) ** 2 / area / 2)
    return total / COCO.num_keypoints


def slow_nms(persons, threshold):
    kept = []
    for person in sorted(persons, key=lambda person: -person["score"]):
        rivals = [other for other in kept if other["image_id"] == person["image_id"]]
        if all(slow_oks(person, other) <= threshold for other in rivals):
            kept.append(person)
    return sorted(kept, key=lambda person: person["id"])


def crowd(count, images, seed=0):
    """Persons of whom many are near copies of few."""
    rng = np.random.default_rng(seed)
    poses = rng.uniform(0, 200, size=(4, 17, 2))
    persons = []
    for index in range(count):
        points = poses[rng.integers(4)] + rng.normal(0, rng.uniform(0, 8), size=(17, 2))
        persons.append(
            {
                "id": index,
                "image_id": int(rng.integers(images)),
                "keypoints": np.column_stack([points, rng.uniform(size=17)]).ravel().tolist(),
                "score": float(rng.uniform()),
                "scale": rng.uniform(50, 200, size=2).tolist(),
            }
        )
    return persons


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_nms_equals_the_slow_reference(threshold):
    persons = crowd(count=120, images=5)
    kept = oks_nms(persons, COCO.sigmas, threshold)
    assert kept == slow_nms(persons, threshold)
    assert len(kept) < len(persons)


def test_oks_equals_the_slow_reference():
    persons = crowd(count=6, images=1)
    points = np.array([person["keypoints"] for person in persons]).reshape(6, 17, 3)[..., :2]
    areas = np.array([math.prod(person["scale"]) for person in persons])
    expected = [[slow_oks(first, second) for second in persons] for first in persons]
    assert np.allclose(pairwise_oks(points, areas, COCO.sigmas), expected)


def test_what_stays_is_stable_and_in_the_order_given():
    persons = crowd(count=40, images=3)
    once = oks_nms(persons, COCO.sigmas)
    assert oks_nms(once, COCO.sigmas) == once
    assert all(any(person is kept for person in persons) for kept in once)


def test_of_equals_the_first_stays_and_pictures_do_not_mix():
    (person,) = crowd(count=1, images=1)
    twin, elsewhere = {**person, "id": 1}, {**person, "id": 2, "image_id": 9}
    assert [kept["id"] for kept in oks_nms([person, twin, elsewhere], COCO.sigmas)] == [0, 2]


def test_nobody_stays_nobody():
    assert oks_nms([], COCO.sigmas) == []


def test_rescore_looks_at_confident_keypoints_only():
    assert rescore(0.5, [0.8, 0.4, 0.2, 0.0]) == pytest.approx(0.5 * 0.6)
    assert rescore(0.5, [0.1, 0.2]) == 0
    assert rescore(0.5, []) == 0
