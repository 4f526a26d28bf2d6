"""The colours of a person's sides."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy import array, ones

from kdkit_pose.report.skeletons import LEFT, MIDDLE, RIGHT, draw_skeleton
from kdkit_pose.skeleton import Skeleton


@pytest.mark.parametrize(
    ("names", "pairs", "colours"),
    [
        (("nose", "left_eye", "right_eye"), ((1, 2),), (MIDDLE, LEFT, RIGHT)),
        (("nose", "EyeL", "EyeR"), ((1, 2),), (MIDDLE, LEFT, RIGHT)),
        (("Nose", "LEFT EYE", "r-eye"), ((1, 2),), (MIDDLE, LEFT, RIGHT)),
        (("cleft", "bright_spot", "upright"), (), (MIDDLE, MIDDLE, MIDDLE)),
    ],
)
def test_sides_are_told_by_words_not_by_letters(names, pairs, colours):
    body = Skeleton("face", names, pairs, ((0, 1), (1, 2)), (0.1, 0.1, 0.1), ())
    axes = Figure().subplots()
    draw_skeleton(axes, body, array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), ones(3, dtype=bool))
    _, limbs, points, *_ = axes.collections
    assert tuple(to_hex(face) for face in points.get_facecolor()) == colours
    # A limb of both sides, or of neither, is of the middle.
    assert [to_hex(edge) for edge in limbs.get_edgecolor()] == [colours[1], MIDDLE]
