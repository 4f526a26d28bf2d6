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
    assert (errors.found, errors.persons) == (5, 5)
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


def test_a_person_who_is_missed_has_no_error_but_counts(truth: Content, perfect: list[Content]) -> None:
    astray = {**perfect[0], "keypoints": [value + 500 for value in perfect[0]["keypoints"]]}
    errors = keypoint_errors(truth, [astray, *perfect[1:]])
    assert (errors.found, errors.persons) == (4, 5)
    assert all(error.mean == 0.0 for error in errors.keypoints if error.labelled)


def test_no_results(truth: Content) -> None:
    errors = keypoint_errors(truth, [])
    assert (errors.found, errors.persons) == (0, 5)
    assert all((e.labelled, e.median, e.mean, e.similarity) == (0, None, None, None) for e in errors.keypoints)


def test_crowds_and_their_matches_do_not_count(truth: Content, perfect: list[Content]) -> None:
    truth["annotations"][0]["iscrowd"] = 1
    errors = keypoint_errors(truth, perfect)
    assert (errors.found, errors.persons) == (4, 4)
