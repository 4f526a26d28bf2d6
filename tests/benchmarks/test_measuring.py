import doctest
import itertools
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measuring import (
    Bounds,
    Clock,
    CpuClock,
    ExtraSeconds,
    Figure,
    Machine,
    PerSecond,
    Record,
    Results,
    Seconds,
    Speed,
    TakingTurns,
    Time,
    Turns,
    judge,
    keep,
    rounds_within,
    table,
    versions,
)

MACHINE = Machine("A machine, 2 cores", "A machine", 2)


class ToldClock(Clock):
    """Runs the work, and says it took what it was told, one after the other."""

    name = "told"

    def __init__(self, seconds):
        self._seconds = itertools.cycle(seconds)

    def seconds(self, work):
        work()
        return next(self._seconds)


def turns(**seconds):
    return Turns({label: np.array(times, dtype=float) for label, times in seconds.items()})


def record(suite="suite", name="name", value=1.0, **fields):
    figure = Figure("a", "b", "speed", "", value, 0.9, 1.1, at_least=0.95, met=value >= 0.95)
    return Record(suite, name, (figure,), "abc", "2026-01-02", versions={"torch": "2"}, **fields)


def orders_of(labels, rounds):
    called = []
    taking = TakingTurns({label: lambda label=label: called.append(label) for label in labels}, CpuClock())
    for _ in range(rounds):
        taking.round()
    return ["".join(called[place : place + len(labels)]) for place in range(0, len(called), len(labels))]


def test_candidates_take_turns_and_each_has_every_place_as_often():
    orders = orders_of("abc", 30)
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    for block in range(0, 30, 3):
        for place in range(3):
            assert {order[place] for order in orders[block : block + 3]} == set("abc")


def test_the_order_is_random_and_the_same_in_every_run():
    orders = orders_of("ab", 60)
    assert orders == orders_of("ab", 60)
    assert orders.count("ab") == 30
    # Neither always in turn nor in a period that inputs might have.
    for period in range(1, 7):
        assert orders[period:] != orders[:-period]


def test_a_machine_that_slows_down_leaves_the_figure_alone():
    # Twice as slow from a third on, and more and more: what the medians are of lies in different times.
    slow = np.concatenate([np.ones(20), np.linspace(2, 4, 41)])
    noise = np.random.default_rng(0).uniform(1, 1.01, (2, 61))
    found = turns(kdkit=1.01 * slow * noise[0], loop=slow * noise[1])
    value, low, high = found.estimate(Time(), "kdkit", "loop")
    assert value == pytest.approx(1.01, abs=0.002)
    assert low <= value <= high
    assert high - low < 0.005


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        noise = draw.lognormal(0, 0.05, (2, 40))
        _, low, high = turns(kdkit=1.02 * noise[0], loop=noise[1]).estimate(Time(), "kdkit", "loop")
        held += low <= 1.02 <= high
    assert 88 <= held <= 100


def test_warm_up_counts_not():
    called = []
    taking = TakingTurns({"a": lambda: called.append(1)}, ToldClock([1.0, 2.0, 3.0, 50.0]))
    assert taking.warm_up(3) == 3.0
    taking.round()
    assert taking.turns().seconds["a"].tolist() == [50.0]
    assert len(called) == 4


def test_a_timing_of_several_calls_is_divided_by_them():
    called = []
    taking = TakingTurns({"a": lambda: called.append(1)}, ToldClock([3.0]), calls=10)
    taking.round()
    assert len(called) == 10
    assert taking.turns().medians == pytest.approx({"a": 0.3})
    assert taking.warm_up(1) == pytest.approx(3.0)


def test_every_candidate_sees_the_inputs_in_turn():
    seen = {"a": [], "b": []}
    candidates = {"a": lambda value: seen["a"].append(value), "b": lambda value: seen["b"].append(value)}
    taking = TakingTurns(candidates, CpuClock(), inputs=[1, 2, 3], calls=2)
    for _ in range(2):
        taking.round()
    assert seen == {"a": [1, 2, 3, 1], "b": [1, 2, 3, 1]}


def test_rounds_fill_the_time_within_limits():
    assert [rounds_within(10.0, one) for one in (0.5, 100.0, 1e-6, 0.0)] == [20, 7, 200, 200]


def test_quantities_are_medians_over_the_rounds():
    found = turns(kdkit=[2.0, 2.0, 90.0], loop=[1.0, 1.0, 1.0])
    assert found.medians == {"kdkit": 2.0, "loop": 1.0}
    quantities = {type(one): found.estimate(one, "kdkit", "loop")[0] for one in (Speed(), Time(), ExtraSeconds())}
    assert quantities == {Speed: 0.5, Time: 2.0, ExtraSeconds: 1.0}
    assert found.estimate(Seconds(), "kdkit", None)[0] == 2.0
    assert found.estimate(PerSecond(items=10), "kdkit", None)[0] == 5.0


def test_the_interval_is_of_pairs_so_that_shared_noise_leaves_a_ratio_alone():
    noise = np.random.default_rng(0).uniform(1, 10, 30)
    value, low, high = turns(kdkit=2 * noise, loop=noise).estimate(Time(), "kdkit", "loop")
    assert (value, low, high) == pytest.approx((2.0, 2.0, 2.0))
    alone = np.random.default_rng(1).uniform(1, 10, 30)
    value, low, high = turns(kdkit=2 * noise, loop=alone).estimate(Time(), "kdkit", "loop")
    assert low < value < high
    assert high - low > 0.3


def test_a_target_without_a_bound_is_neither_met_nor_missed():
    assert Speed().met(0.1) is None
    assert Speed(at_least=0.95).met(0.95) is True
    assert Speed(at_least=0.95).met(0.94) is False
    assert Bounds(at_most=330).met(331) is False
    assert Bounds(1, 2).met(1.5) is True
    assert Bounds(1, 2).met(0.5) is False


def test_the_first_candidate_is_judged_against_the_second_or_those_named():
    found = turns(kdkit=[2.0], limit=[1.0], eager=[8.0])
    (figure,) = judge(found, Speed(at_least=0.9))
    assert (figure.of, figure.against, figure.value, figure.met) == ("kdkit", "limit", 0.5, False)
    figures = judge(found, {"limit": Speed(at_least=0.4), "eager": Speed(at_least=3)})
    assert [(figure.against, figure.value, figure.met) for figure in figures] == [
        ("limit", 0.5, True),
        ("eager", 4.0, True),
    ]
    (alone,) = judge(turns(kdkit=[2.0]), Seconds(at_most=10))
    assert (alone.against, alone.unit, alone.at_most, alone.met) == (None, "s", 10, True)


def test_a_comparison_with_nobody_is_refused():
    with pytest.raises(ValueError, match="give a second"):
        judge(turns(kdkit=[1.0]), Speed())
    with pytest.raises(ValueError, match="no candidate 'limit'"):
        judge(turns(kdkit=[1.0], loop=[1.0]), {"limit": Speed()})


def test_results_come_back_as_they_were_written(tmp_path):
    kept = Results(MACHINE, (record(candidates={"a": 1.5}, rounds=7, threads=2, clock="host clock"), record("t")))
    kept.write(tmp_path / "a.json")
    assert Results.read(tmp_path / "a.json") == kept


def test_a_run_replaces_its_own_records_and_keeps_the_others(tmp_path):
    for one in (record("b"), record("a", "y"), record("a", "x"), replace(record("b"), commit="new")):
        keep(tmp_path, MACHINE, one)
    assert [path.name for path in tmp_path.iterdir()] == ["a-machine-2-cores.json"]
    found = Results.read(tmp_path / MACHINE.file).records
    assert [(one.suite, one.name, one.commit) for one in found] == [
        ("a", "x", "abc"),
        ("a", "y", "abc"),
        ("b", "name", "new"),
    ]


def test_results_of_another_schema_are_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"schema": 0}', encoding="utf-8")
    with pytest.raises(ValueError, match="schema 0, expected 1"):
        Results.read(tmp_path / "a.json")


def test_versions_of_what_figures_depend_on():
    assert {"python", "torch", "kdkit"} <= versions().keys()


def test_doctests():
    assert doctest.testmod(table).failed == 0
    assert doctest.testmod(table).attempted > 3
