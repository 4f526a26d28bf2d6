"""A study's report, and the results in it."""

import json

import pytest

from kdkit import ConfigurationError
from kdkit.ablation import Results, write_report
from kdkit.provenance import provenance


def read(path):
    return json.loads(path.read_text())


def test_results_survive_json(ablation):
    results = ablation().run()
    again = Results.from_json(json.loads(json.dumps(results.to_json())))
    assert again == results
    assert again.rows == results.rows
    assert again.trials["plain"][0].curve == ((50, {"AP": 0.15}),)


def test_a_studys_folder_holds_the_report_and_the_results_in_it(ablation, tmp_path):
    study = ablation(config={"batch": 8}, about={"teachers": {"senior": {"AP": 0.9}}}, mode="min")
    results = study.run()
    content = read(tmp_path / "study" / "results.json")
    assert content == study.report()
    assert Results.from_json(content) == results == study.results()
    assert content["config"] == {"metric": "AP", "batch": 8}
    assert content["seeds"] == [0, 1, 2]
    assert content["variants"]["longer"] == {"summary": "", "config": {"budget": 2.0}}
    assert content["about"] == {"teachers": {"senior": {"AP": 0.9}}}
    assert [row["name"] for row in content["rows"]] == ["plain", "odkd", "longer"]


def test_differences_are_those_to_the_baseline_and_the_pairs_that_are_there(ablation):
    pairs = [("odkd", "longer"), ("odkd", "plain"), ("odkd", "absent")]
    differences = ablation(pairs=pairs)
    results = differences.run()
    found = {(one["variant"], one["other"]): one for one in differences.report()["differences"]}
    assert list(found) == [("odkd", "plain"), ("longer", "plain"), ("odkd", "longer")]
    for pair, one in found.items():
        interval = results.difference(*pair)
        assert (one["mean"], one["low"], one["count"]) == (interval.mean, interval.low, 3)
        assert (one["p"] < 0.05) == interval.leaves_out_zero


def test_one_seed_has_neither_interval_nor_p_value(ablation):
    study = ablation(seeds=(0,))
    study.run()
    first = study.report()["differences"][0]
    assert first["mean"] == pytest.approx(0.02)
    assert first["low"] is first["high"] is first["p"] is None


def test_it_says_what_each_trial_was_made_with(ablation, monkeypatch):
    ablation(seeds=(0,)).run()
    (made,) = ablation(seeds=(0,)).report()["made"]
    assert {name: made[name] for name in ("machine", "versions", "commit")} == provenance()
    assert made["trials"] == {"plain": [0], "odkd": [0], "longer": [0]}
    elsewhere = {**provenance(), "commit": "another"}
    monkeypatch.setattr("kdkit.ablation.ablation.provenance", lambda: elsewhere)
    study = ablation(seeds=(0, 1))
    study.run()
    assert [(one["commit"], one["trials"]["odkd"]) for one in study.report()["made"]] == [
        (provenance()["commit"], [0]),
        ("another", [1]),
    ]


def test_trials_of_before_it_was_kept_say_nothing_of_a_machine(ablation):
    study = ablation(seeds=(0,))
    study.run()
    for name in ("plain", "odkd", "longer"):
        path = study.trial_path(name, 0)
        content = read(path)
        del content["machine"], content["commit"], content["date"]
        path.write_text(json.dumps(content))
    (made,) = study.report()["made"]
    assert made["machine"] is made["commit"] is None
    assert made["dates"] == []


def test_a_study_that_is_stopped_has_a_report_of_what_there_is(ablation, trainings, monkeypatch, tmp_path):
    train = trainings.train

    def stopped(seed, folder, name):
        if (name, seed) == ("odkd", 1):
            raise KeyboardInterrupt
        return train(seed, folder, name)

    monkeypatch.setattr(trainings, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        ablation().run()
    content = read(tmp_path / "study" / "results.json")
    assert {name: list(trials) for name, trials in content["trials"].items()} == {
        "plain": ["0", "1"],
        "odkd": ["0"],
        "longer": ["0"],
    }


def test_a_trial_has_a_line_of_its_own(ablation, tmp_path):
    study = ablation()
    study.run()
    write_report(study.report(), tmp_path / "copy.json")
    text = (tmp_path / "copy.json").read_text()
    assert text == (tmp_path / "study" / "results.json").read_text()
    assert sum('"metrics"' in line for line in text.splitlines()) == 9
    assert all(line.count('"metrics"') <= 1 for line in text.splitlines())


@pytest.mark.parametrize(
    "content", [{}, [], {"trials": [], "metric": "AP"}, {"trials": {"plain": {"x": {}}}, "metric": "AP"}]
)
def test_what_is_no_result_is_refused(content):
    with pytest.raises(ConfigurationError, match=r"these are no results|this is no trial"):
        Results.from_json(content)


def test_a_variant_that_is_not_there_has_no_difference(ablation):
    results = ablation().run()
    assert results.paired("absent", "plain") == {}
    assert results.difference("absent", "plain") is None
