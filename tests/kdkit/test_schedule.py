import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdkit import ConfigurationError, Constant, Cosine, Linear, Step
from kdkit.schedule import as_schedule

unit = st.floats(0, 1)
value = st.floats(-10, 10)


@given(value, value, unit)
def test_linear_and_cosine_meet_their_ends_and_stay_between(start, end, progress):
    for schedule in (Linear(start, end), Cosine(start, end)):
        assert schedule(0.0) == pytest.approx(start)
        assert schedule(1.0) == pytest.approx(end)
        assert min(start, end) - 1e-9 <= schedule(progress) <= max(start, end) + 1e-9


def test_step_holds_from_its_points_on():
    schedule = Step(1.0, {0.8: 0.1, 0.5: 0.5})
    assert [schedule(p) for p in (0.0, 0.49, 0.5, 0.79, 0.8, 1.0)] == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]


def test_numbers_become_constants():
    assert as_schedule(2, "x") == Constant(2.0)
    assert as_schedule(Linear(0, 1), "x") == Linear(0, 1)
    assert Constant(3.0)(0.7) == 3.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(math.nan),
        lambda: Linear(0.0, math.inf),
        lambda: Step(1.0, {0.5: math.nan}),
        lambda: Step(1.0, {170: 0.1}),
        lambda: Linear(0, 1, over="epoch"),
        lambda: as_schedule("0.5", "the weight"),
        lambda: as_schedule(math.inf, "the weight"),
    ],
)
def test_bad_values_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
