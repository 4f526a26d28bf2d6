import numpy as np
import pytest

from kdkit_pose.synthetic.canvas import BACKGROUND, Canvas, capsules, ellipse, hull_of_discs

RED = (255.0, 0.0, 0.0)


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(np.zeros((40, 60, 3), np.uint8))


def test_paint_lands_where_it_was_put(canvas: Canvas) -> None:
    canvas.convex(ellipse(np.array([20.0, 10.0]), np.eye(2) * 5.0), RED, 7)
    rows, columns = np.nonzero(canvas.picture()[..., 0] > 127)
    assert (columns.mean(), rows.mean()) == pytest.approx((20.0, 10.0), abs=0.2)
    # OpenCV also fills every sub-pixel that the outline touches.
    assert np.sqrt(len(rows) / np.pi) == pytest.approx(5.0, abs=0.5)


def test_colour_and_label_agree(canvas: Canvas) -> None:
    canvas.convex(ellipse(np.array([30.0, 20.0]), np.eye(2) * 9.0), RED, 7)
    assert set(np.unique(canvas.labels())) == {BACKGROUND, 7}
    share = (canvas.labels() == 7).reshape(40, 2, 60, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(canvas.picture()[..., 0], 255 * share, atol=1.0)


def test_darkening_keeps_labels(canvas: Canvas) -> None:
    disc = ellipse(np.array([2.0, 2.0]), np.eye(2) * 8.0)  # partly outside
    canvas.convex(disc, RED, 9)
    labels = canvas.labels()
    canvas.darken(disc, 0.5)
    np.testing.assert_array_equal(canvas.labels(), labels)
    assert canvas.picture()[2, 2, 0] == 127


def test_stripes_touch_only_their_label(canvas: Canvas) -> None:
    canvas.convex(ellipse(np.array([30.0, 20.0]), np.eye(2) * 15.0), RED, 7)
    everything = np.array([[-9.0, -9.0], [90.0, -9.0], [90.0, 90.0], [-9.0, 90.0]])
    labels = canvas.labels()
    canvas.stripes(everything, np.array([0.0, 1.0]), 6.0, (0.0, 255.0, 0.0), 7, checked=False)
    np.testing.assert_array_equal(canvas.labels(), labels)
    green = canvas.picture()[..., 1]
    assert green[:, 30].max() == 255
    assert green[:, 5].max() == 0


@pytest.mark.parametrize("end", [(30.0, 10.0), (10.0, 10.0), (11.0, 10.5)])
def test_capsules_hold_both_ends(end: tuple[float, float]) -> None:
    outline = capsules(np.array([[10.0, 10.0]]), np.array([end]), np.array([5.0]), np.array([3.0]))[0]
    assert np.isfinite(outline).all()
    hull = hull_of_discs(np.array([[10.0, 10.0], end]), np.array([5.0, 3.0]))
    np.testing.assert_allclose(outline.min(axis=0), hull.min(axis=0), atol=0.3)
    np.testing.assert_allclose(outline.max(axis=0), hull.max(axis=0), atol=0.3)
