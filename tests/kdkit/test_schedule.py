import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdkit import ConfigurationError, Constant, Cosine, Linear, Step
from kdkit.alternate import Alternate
from kdkit.moment import Moment
from kdkit.ramp import Ramp
from kdkit.schedule import as_schedule

unit = st.floats(0, 1)
value = st.floats(-10, 10)
shapes = st.sampled_from(["linear", "cosine", "sigmoid"])
points = st.tuples(unit, unit).filter(lambda pair: pair[0] < pair[1])
ramps = st.builds(lambda start, end, span, shape: Ramp(start, end, *span, shape), value, value, points, shapes)
alternates = st.builds(
    Alternate, st.lists(value, min_size=1, max_size=4), st.integers(1, 5), st.sampled_from(["steps", "epochs"])
)
schedules = st.one_of(
    st.builds(Constant, value), st.builds(Linear, value, value), st.builds(Cosine, value, value), ramps, alternates
)
moments = st.builds(Moment, unit, unit, st.integers(0, 1000), st.integers(0, 100))


@given(value, value, unit)
def test_linear_and_cosine_meet_their_ends_and_stay_between(start, end, progress):
    for schedule in (Linear(start, end), Cosine(start, end)):
        assert schedule(0.0) == pytest.approx(start)
        assert schedule(1.0) == pytest.approx(end)
        assert min(start, end) - 1e-9 <= schedule(progress) <= max(start, end) + 1e-9


def test_step_holds_from_its_points_on():
    schedule = Step(1.0, {0.8: 0.1, 0.5: 0.5})
    assert [schedule(p) for p in (0.0, 0.49, 0.5, 0.79, 0.8, 1.0)] == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]


@given(ramps, unit, unit)
def test_a_ramp_is_exact_outside_monotone_inside_and_bounded(ramp, one, other):
    assert {ramp(0.0), ramp(ramp.begin)} == {ramp.start}
    assert {ramp(1.0), ramp(ramp.until)} == {ramp.end}
    first, second = ramp(min(one, other)), ramp(max(one, other))
    sign = 1 if ramp.end >= ramp.start else -1
    assert sign * first <= sign * second + 1e-12
    assert min(ramp.start, ramp.end) <= first <= max(ramp.start, ramp.end)


@given(points, shapes)
def test_a_ramp_has_no_jump(span, shape):
    ramp, near = Ramp(0.0, 1.0, *span, shape), 1e-6 * (span[1] - span[0])
    assert ramp(span[0] + near) == pytest.approx(0, abs=1e-4)
    assert ramp(span[1] - near) == pytest.approx(1, abs=1e-4)


def test_the_shapes_of_a_ramp():
    at = {
        shape: [Ramp(0.0, 1.0, shape=shape)(x) for x in (0.25, 0.5)] for shape in ("linear", "cosine", "sigmoid")
    }
    assert at["linear"] == [0.25, 0.5]
    assert at["cosine"] == pytest.approx([(1 - math.sqrt(0.5)) / 2, 0.5])
    floor = math.exp(-5)
    assert at["sigmoid"] == pytest.approx(
        [(math.exp(-5 * 0.75**2) - floor) / (1 - floor), (math.exp(-5 * 0.5**2) - floor) / (1 - floor)]
    )


@given(st.lists(value, min_size=1, max_size=5), st.integers(1, 5), st.integers(0, 200))
def test_alternate_holds_every_value_for_its_time_and_comes_round(values, every, count):
    for kind, other in (("steps", "epochs"), ("epochs", "steps")):
        schedule = Alternate(values, every, kind)
        now = schedule.at(Moment(**{kind: count}))
        assert now == schedule.at(Moment(**{kind: count + every * len(values)}))
        assert now == schedule.at(Moment(**{kind: count, other: 7}))
        assert [schedule.at(Moment(**{kind: step * every})) for step in range(len(values))] == values
        assert {schedule.at(Moment(**{kind: every - 1})), schedule.at(Moment())} == {values[0]}


@given(st.integers(2, 4), st.integers(1, 5), st.integers(0, 200))
def test_of_teachers_that_take_turns_exactly_one_is_active(teachers, every, step):
    weights = [
        Alternate([float(one == turn) for turn in range(teachers)], every).at(Moment(steps=step))
        for one in range(teachers)
    ]
    assert sorted(weights) == [0.0] * (teachers - 1) + [1.0]


def test_alternate_cannot_be_asked_by_progress():
    with pytest.raises(ConfigurationError, match=r"Alternate\(\(1\.0, 0\.0\).*at\(moment\)"):
        Alternate()(0.5)


@given(schedules, schedules, st.floats(-3, 3), moments)
def test_products_multiply_and_are_bounded_by_their_values(one, other, number, moment):
    for product, expected in (
        (one * other, one.at(moment) * other.at(moment)),
        (number * one, number * one.at(moment)),
        (one * number, number * one.at(moment)),
    ):
        assert product.at(moment) == pytest.approx(expected, abs=1e-9)
        assert min(product.values()) - 1e-9 <= product.at(moment) <= max(product.values()) + 1e-9
        if product.is_constant:
            assert product.at(Moment()) == product.at(moment)


@given(schedules, moments)
def test_whoever_needs_no_length_is_known_without_one(schedule, moment):
    assert schedule.needs_length == (not schedule.is_constant and not isinstance(schedule, Alternate))
    bare = Moment(steps=moment.steps, epochs=moment.epochs)
    if not schedule.needs_length:
        assert schedule.at(bare) == schedule.at(moment)
    else:
        assert schedule.at(moment) == schedule(moment.stage)
        with pytest.raises(ConfigurationError, match="progress is not known"):
            schedule.at(bare)


def test_a_product_needs_what_its_factors_need():
    over_run = Linear(0, 1, over="run")
    assert (Alternate() * Alternate()).spans == frozenset()
    assert (Alternate() * Ramp(0, 1)).spans == {"stage"}
    assert (over_run * Cosine(0, 1)).spans == {"stage", "run"}
    assert (0 * over_run).spans == frozenset()
    assert (over_run * Linear(1, 3)).at(Moment(0.5, 0.25)) == 0.5
    with pytest.raises(TypeError):
        over_run * "2"
    with pytest.raises(ConfigurationError, match="factor"):
        over_run * True


def test_schedules_say_themselves_in_a_few_words():
    for schedule, words in (
        (Constant(0.5), "0.5"),
        (Linear(0, 1), "0 -> 1, linear"),
        (Cosine(1e-3, 0, over="run"), "0.001 -> 0, cosine over the run"),
        (Step(1.0, {0.8: 0.01, 0.5: 0.1}), "1 -> 0.1 at 50 %, 0.01 at 80 % of the stage"),
        (Ramp(0, 1, until=0.3, shape="sigmoid"), "0 -> 1, sigmoid from 0 to 30 % of the stage"),
        (Ramp(1, 0), "1 -> 0, linear"),
        (Alternate(), "1, 0 in turn, every step"),
        (Alternate((1, 0, 2), 3, "epochs"), "1, 0, 2 in turn, every 3 epochs"),
        (0.5 * Alternate(), "0.5 x (1, 0 in turn, every step)"),
    ):
        assert str(schedule) == words
    assert repr(0.5 * Ramp(0, 1)) == f"(0.5 * {Ramp(0, 1)!r})"
    assert Alternate([1, 0]) == Alternate((1, 0))
    assert repr(Alternate([1, 0])) == "Alternate((1, 0), every=1, unit='steps')"


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
        lambda: Ramp(0, 1, begin=0.5, until=0.5),
        lambda: Ramp(0, 1, begin=-0.1),
        lambda: Ramp(0, 1, until=1.1),
        lambda: Ramp(0, 1, begin=math.nan),
        lambda: Ramp(0, math.nan),
        lambda: Ramp(0, 1, shape="square"),
        lambda: Ramp(0, 1, over="epoch"),
        lambda: Alternate(()),
        lambda: Alternate((1, math.inf)),
        lambda: Alternate(every=0),
        lambda: Alternate(every=1.5),
        lambda: Alternate(unit="batches"),
        lambda: as_schedule("0.5", "the weight"),
        lambda: as_schedule(math.inf, "the weight"),
    ],
)
def test_bad_values_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
