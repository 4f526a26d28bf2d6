"""The augmentation's parameters: their ranges and frequencies, and what half a body is."""

import numpy as np
import pytest

from kdkit.errors import ConfigurationError
from kdkit.sampling import sample_generator
from kdkit_pose.data import Augment, Crop, Draw
from kdkit_pose.data.augment import half_body
from kdkit_pose.skeleton import COCO

CROP = Crop(center=np.array([50.0, 60.0]), scale=np.array([75.0, 100.0]))


@pytest.fixture(scope="module")
def draws() -> list[Draw]:
    return [Augment().draw(sample_generator(0, 1, view)) for view in range(4000)]


def test_frequencies_are_the_references(draws: list[Draw]) -> None:
    def share(name: str) -> float:
        return float(np.mean([bool(getattr(draw, name)) for draw in draws]))

    assert share("half_body") == pytest.approx(0.3, abs=0.03)
    assert share("rotation") == pytest.approx(0.6, abs=0.03)
    assert share("flip") == pytest.approx(0.5, abs=0.03)
    assert share("upper") == pytest.approx(0.69, abs=0.03)


def test_ranges_are_the_references_and_reached(draws: list[Draw]) -> None:
    zooms, rotations = np.array([d.zoom for d in draws]), np.array([d.rotation for d in draws])
    assert (zooms.min(), zooms.max()) == (pytest.approx(0.65), pytest.approx(1.35))
    assert (rotations.min(), rotations.max()) == (-90, 90)
    assert np.std(rotations[(rotations != 0) & (abs(rotations) < 90)]) == pytest.approx(39.6, abs=2)


def test_choices_are_independent(draws: list[Draw]) -> None:
    table = np.array([(d.half_body, d.upper, d.zoom, d.rotation, d.flip) for d in draws], dtype=float)
    correlation = np.corrcoef(table.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.06


def test_switching_one_choice_off_leaves_the_others() -> None:
    for view in range(50):
        full = Augment().draw(sample_generator(0, 1, view))
        unrotated = Augment(rotation_probability=0).draw(sample_generator(0, 1, view))
        assert unrotated == Draw(full.half_body, full.upper, full.zoom, 0.0, full.flip)


def test_a_draw_that_changes_nothing_gives_the_same_crop() -> None:
    placed = Augment().place(CROP, Draw(), np.zeros((17, 2)), np.ones(17, dtype=bool), COCO.upper_body)
    np.testing.assert_array_equal(placed.center, CROP.center)
    np.testing.assert_array_equal(placed.scale, CROP.scale)
    assert (placed.rotation, placed.flip) == (0, False)


@pytest.mark.parametrize(("count", "halved"), [(8, False), (9, True)])
def test_only_persons_with_more_than_8_keypoints_are_halved(count: int, halved: bool) -> None:
    keypoints = sample_generator(0, 0, 0).random((17, 2)) * 100
    labelled = np.arange(17) < count
    placed = Augment().place(CROP, Draw(half_body=True, upper=True), keypoints, labelled, COCO.upper_body)
    assert (placed.center != CROP.center).any() == halved


def reference_half(upper_count: int, lower_count: int, want_upper: bool) -> str | None:
    """The reference's choice, written out case by case."""
    if want_upper and upper_count > 2:
        return "upper"
    choice, count = ("lower", lower_count) if lower_count > 2 else ("upper", upper_count)
    return choice if count >= 2 else None


@pytest.mark.parametrize("want_upper", [True, False])
@pytest.mark.parametrize("lower_count", range(5))
@pytest.mark.parametrize("upper_count", range(5))
def test_the_half_chosen_is_the_references(upper_count: int, lower_count: int, want_upper: bool) -> None:
    keypoints = np.concatenate([np.full((11, 2), 20.0), np.full((6, 2), 80.0)]) + np.arange(17)[:, None]
    labelled = np.concatenate([np.arange(11) < upper_count, np.arange(6) < lower_count])
    found = half_body(CROP, keypoints, labelled, COCO.upper_body, upper=want_upper)
    expected = reference_half(upper_count, lower_count, want_upper)
    assert (found is None) == (expected is None)
    if found is not None:
        assert (found.center[1] < 60) == (expected == "upper")


def test_half_a_body_is_its_keypoints_box_enlarged_to_the_aspect() -> None:
    keypoints = np.zeros((17, 2))
    keypoints[[0, 5, 6]] = [(10, 10), (50, 20), (30, 30)]
    labelled = np.isin(np.arange(17), [0, 5, 6])
    found = half_body(CROP, keypoints, labelled, COCO.upper_body, upper=True)
    assert found is not None
    np.testing.assert_allclose(found.center, (30, 20))
    np.testing.assert_allclose(found.scale, (40 * 1.5, 40 / 0.75 * 1.5))


def test_keypoints_in_one_place_are_no_half() -> None:
    labelled = np.arange(17) < 3
    assert half_body(CROP, np.ones((17, 2)), labelled, COCO.upper_body, upper=True) is None


@pytest.mark.parametrize(
    "wrong",
    [{"flip_probability": -0.1}, {"half_body_probability": 2}, {"scale_factor": 1.0}, {"rotation_factor": -1}],
)
def test_wrong_arguments_are_errors(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Augment(**wrong)  # type: ignore[arg-type]
