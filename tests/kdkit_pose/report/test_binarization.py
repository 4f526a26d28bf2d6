import numpy as np
import pytest

from kdkit import Binarize
from kdkit.errors import ConfigurationError
from kdkit.transforms import Identity
from kdkit_pose.report import draw_binarization


def _panels(figure, count):
    """The panels [H, W, 3], cut a little so that neither header nor gap is in them."""
    width = figure.image.shape[1]
    return [figure.image[80:-4, i * width // count + 12 : (i + 1) * width // count - 12] for i in range(count)]


def test_truth_alone_takes_three_panels_and_a_teacher_two_more(dataset):
    teacher = dataset[0]["heatmap"].numpy()
    alone = draw_binarization(dataset, 0, Binarize(0.5), None).image
    both = draw_binarization(dataset, 0, Binarize(0.5), teacher).image
    assert alone.dtype == both.dtype == np.uint8
    assert both.shape[1] / alone.shape[1] == pytest.approx(5 / 3, rel=0.02)


def test_after_binarization_there_is_but_one_colour(dataset):
    """The yellow of full heat covers more after it, the colours in between are gone."""
    _, before, after = _panels(draw_binarization(dataset, 0, Binarize(0.5)), 3)

    def shares(panel):
        # Heat shows as red over green and blue: yellow has green too.
        red, green, blue = (panel[..., i].astype(int) for i in range(3))
        yellow = (green > 180) & (blue < 90) & (red > 180)
        between = (red > green + 40) & ~yellow
        return yellow.mean(), between.mean()

    yellow_before, between_before = shares(before)
    yellow_after, between_after = shares(after)
    assert yellow_after > 2 * yellow_before
    assert between_after < 0.1 * between_before


def test_the_identity_changes_nothing(dataset):
    _, before, after = _panels(draw_binarization(dataset, 0, Identity()), 3)
    height, width = min(before.shape[0], after.shape[0]), min(before.shape[1], after.shape[1]) - 4
    # Panels begin at fractions of a pixel, so equal ones differ a little at edges.
    difference = np.abs(before[:height, :width].astype(int) - after[:height, :width].astype(int))
    assert difference.mean() < 8


def test_a_heatmap_of_another_size_is_refused(dataset):
    with pytest.raises(ConfigurationError, match=r"data set's shape \[17, 32, 24\], found \[17, 16, 12\]"):
        draw_binarization(dataset, 0, Binarize(0.5), np.zeros((17, 16, 12)))
