import json
import shutil
from functools import partial

import pytest

from kdkit import ConfigurationError, RunFolderError
from kdkit.ablation import Ablation, Trial, Variant
from kdkit.claims import claim


def test_differences_are_paired_by_seed(ablation):
    results = ablation().run()
    rows = {row.name: row for row in results.rows}
    assert list(rows) == ["plain", "odkd", "longer"]
    assert rows["plain"].difference is None
    # The seeds differ by far more than the variants: only pairs show it.
    assert rows["odkd"].metric.low < rows["plain"].metric.mean
    assert rows["odkd"].difference.mean == pytest.approx(0.02)
    assert rows["odkd"].difference.leaves_out_zero
    assert not rows["longer"].difference.leaves_out_zero
    assert results.difference("plain", "odkd").mean == pytest.approx(-0.02)


def test_nothing_is_trained_twice(ablation, trainings):
    first = ablation().run()
    assert len(trainings.done) == 9
    lines = []
    again = ablation().run(lines.append)
    assert len(trainings.done) == 9
    assert again == first
    assert lines == [f"{name}, seed {seed}: is there" for seed in (0, 1, 2) for name in trainings.values]


def test_a_study_that_was_stopped_goes_on(ablation, trainings, monkeypatch):
    train, left = trainings.train, [4]

    def stopped(*arguments, **options):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return train(*arguments, **options)

    monkeypatch.setattr(trainings, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        ablation().run()
    # Seed by seed, so that there is something to compare.
    partly = ablation().results()
    assert {name: list(trials) for name, trials in partly.trials.items()} == {
        "plain": [0, 1],
        "odkd": [0],
        "longer": [0],
    }
    left[0] = 99
    whole = ablation().run()
    assert sorted(trainings.done) == sorted((name, seed) for name in trainings.values for seed in (0, 1, 2))
    assert all(len(trials) == 3 for trials in whole.trials.values())


def test_another_seed_and_another_variant_are_added(ablation, trainings, tmp_path):
    ablation(seeds=(0, 1)).run()
    assert ablation(seeds=(0, 1, 2)).run().rows[0].metric.count == 3
    assert len(trainings.done) == 9
    variants = [*trainings.variants(longer=2.0), Variant("more", partial(trainings.train, name="odkd"))]
    Ablation(variants, (0, 1, 2), tmp_path / "study", metric="AP").run()
    assert len(trainings.done) == 12


def test_results_hold_every_seed_that_was_trained(ablation, trainings):
    ablation(seeds=(0, 1)).run()
    results = ablation(seeds=(2,)).run()
    assert len(trainings.done) == 9
    assert results.rows[0].metric.count == 3
    assert ablation(seeds=(1,)).report()["seeds"] == [0, 1, 2]


def test_folders_of_two_machines_are_joined_by_copying(trainings, tmp_path):
    def study(folder, *seeds):
        return Ablation(trainings.variants(longer=2.0), seeds, tmp_path / folder, metric="AP")

    study("here", 0).run()
    study("there", 1, 2).run()
    shutil.copytree(tmp_path / "there", tmp_path / "here", dirs_exist_ok=True)
    lines = []
    joined = study("here", 0, 1, 2).run(lines.append)
    assert len(trainings.done) == 9
    assert all(line.endswith(": is there") for line in lines)
    assert joined.difference("odkd", "plain").count == 3


def test_a_training_of_another_variant_is_refused_before_anything_is_trained(trainings, tmp_path):
    def study(teacher, *seeds):
        variants = [
            Variant("plain", partial(trainings.train, name="plain")),
            Variant("odkd", partial(trainings.train, name="odkd"), config={"teacher": teacher}),
        ]
        return Ablation(variants, seeds, tmp_path, metric="AP")

    study("first", 1, 2).run()
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(RunFolderError, match="another variant 'odkd'"):
        study("second", 0, 1, 2).run()
    assert len(trainings.done) == 4
    assert (tmp_path / "results.json").read_bytes() == before


def test_what_another_process_is_at_is_left_to_it(ablation, trainings):
    study = ablation()
    path = study.trial_path("odkd", 1)
    path.parent.mkdir(parents=True)
    lines = []
    with claim(path, wait=False):
        results = study.run(lines.append)
    assert ("odkd", 1) not in trainings.done
    assert list(results.trials["odkd"]) == [0, 2]
    assert "odkd, seed 1: another process is at it" in lines
    assert results.difference("odkd", "plain").count == 2
    assert list(study.run().trials["odkd"]) == [0, 1, 2]


def test_unequal_steps_are_refused_and_what_is_advised_helps(ablation, trainings):
    refused = r"'longer', seed 0, took 200 steps of 1600 samples in all, and not 100 of 800: .* budget="
    with pytest.raises(ConfigurationError, match=refused) as found:
        ablation(budget=1.0).run()
    assert len(ablation(budget=2.0).run().rows) == 3
    assert len(trainings.done) == 9
    # Or it is trained otherwise, where the folder that is named is removed.
    trainings.steps["longer"] = 100
    with pytest.raises(ConfigurationError, match=refused):
        ablation(budget=1.0).run()
    for seed in (0, 1, 2):
        folder = str(found.value).split("remove '")[1].split("'")[0].replace("seed-0", f"seed-{seed}")
        shutil.rmtree(folder)
    assert [row.steps for row in ablation(budget=1.0).run().rows] == [100, 100, 100]


def test_more_samples_in_as_many_steps_are_refused(tmp_path):
    def variant(name, samples):
        return Variant(name, lambda seed, folder: Trial({"AP": 0.5}, 10, samples))

    refused = "'wide', seed 0, took 10 steps of 640 samples in all, and not 10 of 80"
    with pytest.raises(ConfigurationError, match=refused):
        Ablation([variant("plain", 80), variant("wide", 640)], (0,), tmp_path / "wide", metric="AP").run()
    # The last batch of an epoch may be smaller.
    ragged = [variant("plain", 80), variant("ragged", 77)]
    assert len(Ablation(ragged, (0,), tmp_path / "ragged", metric="AP").run().rows) == 2


def test_rows_that_are_not_named_are_told(trainings, tmp_path):
    variants = trainings.variants(longer=2.0)
    Ablation(variants, (0,), tmp_path, metric="AP").run()
    lines = []
    Ablation(variants[:2], (0,), tmp_path, metric="AP").run(lines.append)
    assert lines[-1] == "not named, and so not in the results: longer"


def test_a_difference_is_counted_once_whichever_way_round(ablation):
    study = ablation(baseline="odkd", pairs=[("odkd", "plain"), ("plain", "longer"), ("longer", "plain")])
    study.run()
    found = [(one["variant"], one["other"]) for one in study.report()["differences"]]
    assert found == [("plain", "odkd"), ("longer", "odkd"), ("plain", "longer")]


def test_another_configuration_is_refused_by_name(ablation, trainings):
    ablation(config={"batch": 8, "data": "people"}).run()
    with pytest.raises(RunFolderError, match="batch: there 8, now 16"):
        ablation(config={"batch": 16, "data": "people"}).run()
    assert len(trainings.done) == 9


def test_the_metric_must_be_there(tmp_path):
    variants = [Variant(name, lambda seed, folder: Trial({"loss": 1.0}, 1, 1)) for name in ("a", "b")]
    with pytest.raises(ConfigurationError, match=r"'a' gave \['loss'\], and not the metric 'AP'"):
        Ablation(variants, (0,), tmp_path, metric="AP").run()
    assert not list(tmp_path.rglob("trial.json"))


def test_unequal_steps_are_noticed_before_the_rest_is_trained(ablation, trainings):
    with pytest.raises(ConfigurationError, match="'longer', seed 0"):
        ablation(budget=1.0).run()
    assert trainings.done == [("plain", 0), ("odkd", 0), ("longer", 0)]


def test_another_variant_of_a_name_is_refused_and_one_with_other_parts_is_added(trainings, tmp_path):
    def study(**teachers):
        variants = [
            Variant(name, partial(trainings.train, name="odkd"), config={"teacher": teacher})
            for name, teacher in teachers.items()
        ]
        return Ablation(variants, (0,), tmp_path, metric="AP")

    study(a="first", b="first").run()
    assert len(study(a="first", b="first", c="second").run().rows) == 3
    with pytest.raises(RunFolderError, match=r"another variant 'b' \(there .*first.*, now .*second"):
        study(a="first", b="second").run()
    assert len(trainings.done) == 3


def test_a_training_that_failed_is_named_and_not_kept(tmp_path):
    values = {"a": 0.5, "b": float("nan")}
    variants = [
        Variant(name, lambda seed, folder, v=value: Trial({"AP": v}, 1, 1)) for name, value in values.items()
    ]
    with pytest.raises(ConfigurationError, match="variant 'b', seed 0, gave AP = nan: look at the run in"):
        Ablation(variants, (0,), tmp_path, metric="AP").run()
    assert [path.parent.parent.name for path in tmp_path.rglob("trial.json")] == ["a"]


@pytest.mark.parametrize(
    ("names", "seeds", "options"),
    [
        (("a",), (0,), {}),
        (("a", "a"), (0,), {}),
        (("a", "b"), (), {}),
        (("a", "b"), (1, 1), {}),
        (("a", "b"), (0,), {"baseline": "c"}),
        (("a", "b"), (0,), {"mode": "most"}),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, names, seeds, options):
    variants = [Variant(name, lambda seed, folder: Trial({"AP": 1.0}, 1, 1)) for name in names]
    with pytest.raises(ConfigurationError):
        Ablation(variants, seeds, tmp_path, metric="AP", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden"])
def test_a_name_must_be_a_folders(name):
    with pytest.raises(ConfigurationError, match="folder"):
        Variant(name, lambda seed, folder: Trial({}, 1, 1))


def test_trials_survive_their_files(ablation):
    study = ablation(seeds=(0,))
    results = study.run()
    content = json.loads(study.trial_path("plain", 0).read_text())
    assert content["seed"] == 0
    assert Trial.from_json(content["trial"]) == results.trials["plain"][0]
    assert results.trials["plain"][0].curve == ((50, {"AP": 0.15}),)
    with pytest.raises(ConfigurationError, match="no trial"):
        Trial.from_json({"metrics": {}})
