from typing import Any

import numpy as np
import pytest

from kdkit_pose import COCO
from kdkit_pose.evaluation import keypoint_errors

Content = dict[str, Any]


def moved(result: Content, keypoint: int, x: float, y: float) -> Content:
    keypoints = list(result["keypoints"])
    keypoints[3 * keypoint] += x
    keypoints[3 * keypoint + 1] += y
    return {**result, "keypoints": keypoints}


def test_what_is_right_has_no_error(truth: Content, perfect: list[Content]) -> None:
    errors = keypoint_errors(truth, perfect)
    # The sixth person is not labelled: nobody to be found.
    assert (errors.matched, errors.persons) == (5, 5)
    assert [error.keypoint for error in errors.keypoints] == list(COCO.keypoints)
    assert {(error.median, error.mean, error.similarity) for error in errors.keypoints} == {(0.0, 0.0, 1.0)}
    labelled = sum(np.array(person["keypoints"]).reshape(17, 3)[:, 2] > 0 for person in truth["annotations"])
    assert [error.labelled for error in errors.keypoints] == list(labelled)


def test_an_error_is_measured_where_it_is(truth: Content, perfect: list[Content]) -> None:
    person = truth["annotations"][0]
    keypoint = next(k for k in range(17) if person["keypoints"][3 * k + 2] > 0)
    errors = keypoint_errors(truth, [moved(perfect[0], keypoint, 3, 4), *perfect[1:]]).keypoints
    wrong = errors[keypoint]
    variance = (2 * COCO.sigmas[keypoint]) ** 2
    likeness = np.exp(-25 / (2 * variance * person["area"]))
    assert wrong.mean == pytest.approx(5.0 / wrong.labelled)
    assert wrong.median == (5.0 if wrong.labelled == 1 else 0.0)
    assert wrong.similarity == pytest.approx((likeness + wrong.labelled - 1) / wrong.labelled)
    assert all(error.mean == 0.0 for k, error in enumerate(errors) if k != keypoint)


def test_a_person_without_a_result_counts_but_has_no_error(truth: Content, perfect: list[Content]) -> None:
    errors = keypoint_errors(truth, perfect[1:])
    # The second person is all that is left of the first picture.
    assert (errors.matched, errors.persons) == (4, 5)
    assert all(error.mean == 0.0 for error in errors.keypoints if error.labelled)


def test_a_result_far_off_is_an_error_all_the_same(truth: Content, perfect: list[Content]) -> None:
    astray = {**perfect[0], "keypoints": [value + 500 for value in perfect[0]["keypoints"]]}
    errors = keypoint_errors(truth, [astray, *perfect[1:]])
    assert errors.matched == 5
    person = truth["annotations"][0]
    for k, error in enumerate(errors.keypoints):
        assert error.mean == pytest.approx(500 * 2**0.5 / error.labelled if person["keypoints"][3 * k + 2] else 0)


def test_each_result_goes_to_the_person_it_fits_best(truth: Content, perfect: list[Content]) -> None:
    doubled = [{**one, "score": 0.1} for one in perfect] + [{**one, "keypoints": [1.0] * 51} for one in perfect]
    assert keypoint_errors(truth, doubled[::-1]) == keypoint_errors(truth, perfect)


def test_no_results(truth: Content) -> None:
    errors = keypoint_errors(truth, [])
    assert (errors.matched, errors.persons) == (0, 5)
    assert all((e.labelled, e.median, e.mean, e.similarity) == (0, None, None, None) for e in errors.keypoints)


def test_crowds_do_not_count(truth: Content, perfect: list[Content]) -> None:
    truth["annotations"][0]["iscrowd"] = 1
    errors = keypoint_errors(truth, perfect)
    assert (errors.matched, errors.persons) == (4, 4)
