import copy
from typing import Any

import numpy as np
import pytest

from kdkit import ConfigurationError, DataError
from kdkit_pose import COCO
from kdkit_pose.evaluation import coco_metrics, compare, load_annotations
from kdkit_pose.evaluation.metrics import evaluate_results
from kdkit_pose.evaluation.precision import Detections, average_precision

Results = list[dict[str, Any]]


def people(pictures: int, seed: int = 0) -> dict[str, Any]:
    """A ground truth of ``pictures`` with none to four persons each, some of them crowds or unlabelled."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    for picture in range(1, pictures + 1):
        for _ in range(rng.integers(0, 5)):
            width, height = rng.uniform(40, 200, size=2)
            left, top = rng.uniform(0, 100, size=2)
            keypoints = rng.uniform([left, top], [left + width, top + height], size=(17, 2))
            visible = rng.integers(0, 3, size=17) * (rng.random() > 0.1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture,
                    "category_id": 1,
                    "iscrowd": int(rng.random() < 0.1),
                    "bbox": [left, top, width, height],
                    "area": width * height * 0.6,
                    "keypoints": np.column_stack([keypoints, visible]).ravel().tolist(),
                }
            )
    images = [{"id": picture, "width": 320, "height": 320} for picture in range(1, pictures + 1)]
    return {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": annotations}


def guesses(truth: dict[str, Any], noise: float, seed: int) -> Results:
    """Results near the truth, some missing, some of nobody, many of equal score."""
    rng = np.random.default_rng(seed)
    results = []
    for annotation in truth["annotations"]:
        if rng.random() < 0.15:
            continue
        points = np.array(annotation["keypoints"]).reshape(17, 3)
        points[:, :2] += rng.normal(scale=noise * rng.uniform(0.2, 2), size=(17, 2))
        if rng.random() < 0.2:
            points[:, :2] = rng.uniform(0, 300, size=(17, 2))
        points[:, 2] = 1
        score = round(float(rng.random()), 1)
        results.append(
            {
                "image_id": annotation["image_id"],
                "category_id": 1,
                "keypoints": points.ravel().tolist(),
                "score": score,
            }
        )
    return results


def detections(truth: dict[str, Any], results: Results) -> Detections:
    return Detections.of(evaluate_results(load_annotations(truth, COCO), results, COCO))


def drawn(truth: dict[str, Any], results: Results, counts: list[int]) -> tuple[dict[str, Any], Results]:
    """Ground truth and results of which picture i is there ``counts[i]`` times, each copy under its own ids."""
    copies: dict[str, Any] = {"images": [], "categories": truth["categories"], "annotations": []}
    found: Results = []
    for image, count in zip(truth["images"], counts, strict=True):
        for _ in range(count):
            place = len(copies["images"]) + 1
            copies["images"].append({**image, "id": place})
            for annotation in truth["annotations"]:
                if annotation["image_id"] == image["id"]:
                    number = len(copies["annotations"]) + 1
                    copies["annotations"].append({**annotation, "id": number, "image_id": place})
            found += [{**r, "image_id": place} for r in results if r["image_id"] == image["id"]]
    return copies, found


@pytest.mark.parametrize("seed", range(5))
def test_ap_equals_cocoeval(seed: int) -> None:
    truth = people(12, seed)
    results = guesses(truth, noise=6.0, seed=seed)
    expected = coco_metrics(truth, results, boxes="detector")["AP"]
    assert expected is not None
    assert 0.05 < expected < 0.95
    assert average_precision(detections(truth, results)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_that_counts_twice_is_two_copies_of_it(seed: int) -> None:
    truth = people(10, seed)
    results = guesses(truth, noise=6.0, seed=seed)
    counts = np.random.default_rng(seed).integers(0, 4, size=10)
    expected = coco_metrics(*drawn(truth, results, counts.tolist()), boxes="detector")["AP"]
    found = average_precision(detections(truth, results), counts.astype(float))
    assert found == pytest.approx(expected, abs=1e-12)


def test_no_results_and_nobody() -> None:
    truth = people(3)
    assert average_precision(detections(truth, [])) == 0.0
    assert np.isnan(average_precision(detections(truth, []), np.zeros(3)))


def test_more_than_twenty_results_a_picture() -> None:
    truth = people(2)
    results = [{**result, "score": 0.1 * i} for i in range(9) for result in guesses(truth, noise=5.0, seed=i)]
    expected = coco_metrics(truth, results, boxes="detector")["AP"]
    assert average_precision(detections(truth, results)) == pytest.approx(expected, abs=1e-12)


def test_compare_is_antisymmetric() -> None:
    truth = people(20)
    good, bad = guesses(truth, noise=2.0, seed=1), guesses(truth, noise=9.0, seed=2)
    there, back = compare(truth, good, bad, resamples=200), compare(truth, bad, good, resamples=200)
    assert there.difference == -back.difference
    assert there.low == pytest.approx(-back.high)
    assert there.high == pytest.approx(-back.low)
    assert there.low <= there.difference <= there.high
    assert there.is_clear
    assert there.low > 0
    assert there.first == coco_metrics(truth, good, boxes="detector")["AP"]


def test_the_same_results_do_not_differ() -> None:
    truth = people(20)
    results = guesses(truth, noise=5.0, seed=1)
    found = compare(truth, results, results, resamples=100)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.is_clear
    assert "may be chance" in str(found)


def test_pairing_makes_the_interval_narrow() -> None:
    """What both find hard cancels: two nearly equal networks differ by less than either varies."""
    truth = people(40)
    first = guesses(truth, noise=5.0, seed=1)
    second = copy.deepcopy(first)
    second[0]["keypoints"] = [value + 40 for value in second[0]["keypoints"]]
    found = compare(truth, first, second, resamples=300)
    judged = detections(truth, first)
    rng = np.random.default_rng(0)
    alone = [
        average_precision(judged, np.bincount(rng.integers(40, size=40), minlength=40).astype(float))
        for _ in range(300)
    ]
    assert found.high - found.low < 0.5 * np.ptp(np.quantile(alone, [0.025, 0.975]))


def test_the_seed_makes_the_interval_and_confidence_its_width() -> None:
    truth = people(20)
    first, second = guesses(truth, noise=3.0, seed=1), guesses(truth, noise=6.0, seed=2)
    one, again = (compare(truth, first, second, resamples=200, seed=4) for _ in range(2))
    assert one == again
    assert compare(truth, first, second, resamples=200, seed=5).low != one.low
    wide = compare(truth, first, second, resamples=200, seed=4, confidence=0.99)
    assert wide.low < one.low
    assert wide.high > one.high


def test_progress_counts_every_draw_and_changes_nothing() -> None:
    truth = people(10)
    results = guesses(truth, 3.0, 1), guesses(truth, 6.0, 2)
    told: list[tuple[int, int]] = []
    found = compare(truth, *results, resamples=100, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 100) for done in range(1, 101)]
    assert found == compare(truth, *results, resamples=100)


def slow_average_precision(judged: Detections, counts: np.ndarray) -> float:
    """As the definition says it: every detection's precision, made to fall, read at 101 recalls."""
    weight = counts[judged.picture]
    sampled = []
    for right, wrong in zip(judged.right, judged.wrong, strict=True):
        true, false = np.cumsum(right * weight), np.cumsum(wrong * weight)
        precision = np.maximum.accumulate((true / (true + false + np.spacing(1)))[::-1])[::-1]
        places = np.searchsorted(true / (counts @ judged.persons), np.linspace(0, 1, 101))
        sampled.append(np.append(precision, 0.0)[places])
    return float(np.mean(sampled))


@pytest.mark.parametrize("seed", range(5))
def test_looking_at_matches_alone_changes_no_bit(seed: int) -> None:
    truth = people(15, seed)
    judged = detections(truth, guesses(truth, noise=6.0, seed=seed))
    assert (judged.right + judged.wrong == 0).any()  # some are ignored
    for draw in np.random.default_rng(seed).integers(0, 4, size=(20, 15)).astype(float):
        assert average_precision(judged, draw) == slow_average_precision(judged, draw)


def test_a_resample_of_nobody_is_drawn_again() -> None:
    truth = people(2, seed=0)
    truth["annotations"] = [one for one in truth["annotations"] if one["image_id"] == 2][:1]
    truth["annotations"][0] |= {"iscrowd": 0, "keypoints": [50, 60, 2] * 17}
    found = compare(truth, [], [], resamples=100)
    assert (found.first, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_callers_annotations_stay_as_they_are() -> None:
    truth = people(5)
    before = copy.deepcopy(truth)
    compare(truth, guesses(truth, 3.0, 1), guesses(truth, 4.0, 2), resamples=100)
    assert truth == before


def test_bad_input() -> None:
    truth = people(5)
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        compare(truth, [], [], confidence=95)
    with pytest.raises(ConfigurationError, match="at least 100"):
        compare(truth, [], [], resamples=10)
    with pytest.raises(DataError, match="the ground truth has 1 and 0"):
        compare({**truth, "images": truth["images"][:1], "annotations": []}, [], [])
    with pytest.raises(DataError, match=r"has \d+ and 0"):
        compare({**truth, "annotations": []}, [], [])
