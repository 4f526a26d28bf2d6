"""The page of studies: made of small studies, and of the committed files."""

import copy
import doctest
import json
import shutil
from dataclasses import asdict, replace

import pytest

from benchmarks import ablation_page
from benchmarks.ablation import questions
from benchmarks.ablation.comparison import comparisons
from benchmarks.ablation.findings import findings
from benchmarks.ablation.questions import QUESTIONS, answers, title
from benchmarks.ablation.repeated import repeated
from benchmarks.ablation.study_file import StudyFile, read_studies
from benchmarks.ablation.tables import cost_table, course_table, pairs_table, rows_table, teachers_table
from kdkit.ablation import Results, Trial, write_report
from kdkit.ablation.report import study_report
from kdkit_pose.ablation import FULL, LONG, SMALL, pairs_of

SEEDS = (0, 1, 2)
NOISE = (0.0, 0.004, -0.002, 0.001, -0.003)
"""Of a seed, in all rows."""

OWN = (0.0005, -0.0005, 0.0)
"""Of a seed in one row alone."""

GAINS = {
    "plain": 0.0,
    "fpd": 0.002,
    "senior_only": 0.0021,
    "joint": 0.0202,
    "odkd": 0.02,
    "reversed": 0.01,
    "odkd_blind": 0.012,
    "odkd_both": -0.03,
    "odkd_both_0.3": 0.05,
}
TEACHERS = {
    "primary": {"val/AP": 0.4, "val/AP_people": 0.5, "val/AP_crowds": 0.3},
    "senior": {"val/AP": 0.6, "val/AP_people": 0.6, "val/AP_crowds": 0.55},
    "blind": {"val/AP": 0.41, "val/AP_people": 0.51, "val/AP_crowds": 0.31},
}
MADE = {
    "machine": {"name": "A machine, 2 cores", "cpu": "A machine", "cores": 2, "gpu": None},
    "versions": {"python": "3.11", "kdkit": "0.1", "torch": "2.11", "rich": "15"},
    "commit": "abc",
}
BENCHMARK = {
    "labels": "exact",
    "size": {
        "train_pictures": 1000,
        "val_pictures": 200,
        "input_size": [96, 128],
        "teacher": "teaching_net",
        "primary_epochs": 12,
        "senior_epochs": 6,
    },
}


def trial(seed, gain, place):
    # Each row has a scatter of its own, so that intervals have a width.
    value = 0.3 + gain + NOISE[seed] + (OWN[(seed + place) % 3] if gain else 0.0)
    metrics = {"val/AP": value, "val/AP_people": value + 0.1, "val/AP_crowds": value - 0.1}
    curve = [(50, {"val/AP": value / 2}), (100, metrics)]
    return Trial(metrics, 100, 3200, {"senior": 1600} if gain else {}, 77.7, curve)


@pytest.fixture
def make(tmp_path):
    """Make a study's file, as one that was trained would leave it."""

    def made(name="small", gains=GAINS, seeds=SEEDS, notes=None, teachers=TEACHERS, benchmark=BENCHMARK):
        trials = {
            row: {seed: trial(seed, gain, place) for seed in seeds}
            for place, (row, gain) in enumerate(gains.items())
        }
        kept = [{"variant": row, "seed": seed, "date": "2026-01-02", **MADE} for row in trials for seed in seeds]
        report = study_report(
            Results(trials, "val/AP", next(iter(gains))),
            config={"student": "learning_net", "epochs": 20, **({"benchmark": benchmark} if benchmark else {})},
            variants={row: {"summary": f"what {row} is", "config": {"budget": 1.0}} for row in gains},
            seeds=seeds,
            pairs=pairs_of(tuple(gains)),
            kept=kept,
            about={"teachers": teachers},
        )
        write_report(report, tmp_path / "results" / f"{name}.json")
        return StudyFile(name, json.loads((tmp_path / "results" / f"{name}.json").read_text()), notes or {})

    return made


@pytest.fixture
def again(make):
    """A study, and what a second run of it gave: two of its rows, each teacher with its weights."""
    study = make()
    for row, variant in study.content["variants"].items():
        variant["config"]["teachers"] = {} if row == "plain" else {"primary": "ab", "senior": "cd"}
    second = copy.deepcopy(study.content)
    second["trials"] = {row: second["trials"][row] for row in ("plain", "odkd")}
    for by_seed in second["trials"].values():
        for kept in by_seed.values():
            kept["seconds"] += 1
    return study, second


@pytest.mark.parametrize(("size", "named"), [(SMALL, "small"), (LONG, "long"), (FULL, "full")])
def test_the_command_makes_the_first_study(make, size, named):
    benchmark = {"size": json.loads(json.dumps(asdict(size))), "labels": "exact"}
    text = ablation_page.make_page([make("mine", benchmark=benchmark)])
    assert f"kdkit-pose ablate --synthetic {named} --labels exact" in text
    assert "--json benchmarks/results/ablation/mine.json" in text


def test_every_drawn_study_has_its_command_and_sizes_their_own_folder(make):
    sizes = {"quick": SMALL, "slow": LONG}
    studies = [
        make(name, benchmark={"size": json.loads(json.dumps(asdict(size))), "labels": "coco"})
        for name, size in sizes.items()
    ]
    text = ablation_page.make_page(studies)
    assert text.count("kdkit-pose ablate --synthetic") == 2
    assert "--out runs/benchmark --json benchmarks/results/ablation/quick.json" in text
    assert "--out runs/benchmark-long --json benchmarks/results/ablation/slow.json" in text


def test_the_committed_page_is_what_the_committed_files_give():
    summary, notes = ablation_page.read_notes(ablation_page.RESULTS / "notes.toml")
    studies = read_studies(ablation_page.RESULTS, notes, ablation_page.IMAGES)
    made = ablation_page.make_page(studies, summary)
    assert ablation_page.PAGE.read_text(encoding="utf-8") == made, "run: make results"
    assert notes.keys() <= {study.name for study in studies}


def test_a_second_run_with_the_same_figures_is_told(again):
    study, second = again
    text = ablation_page.make_page([replace(study, repeated=second)])
    told = next(line for line in text.splitlines() if line.startswith("**Repeated**"))
    assert "2 of 2 teachers have the same weights, bit by bit, and 6 of 6 trainings gave the same figures" in told
    assert "difference" not in told
    assert "on A machine, 2 cores, 2026-01-02, commit abc" in told
    assert told.endswith("From `benchmarks/results/ablation/repeated/small.json`.")
    assert "**Repeated**" not in ablation_page.make_page([study])


@pytest.mark.parametrize("place", [0, 1])
def test_a_second_run_with_other_figures_is_told(again, place):
    study, second = again
    second["trials"]["odkd"]["1"]["curve"][place][1]["val/AP"] += 0.01
    second["trials"]["plain"]["2"]["metrics"]["val/AP"] -= 0.025
    second["variants"]["odkd"]["config"]["teachers"]["senior"] = "other"
    for row in ("fpd", "senior_only", "joint", "reversed", "odkd_blind", "odkd_both", "odkd_both_0.3"):
        del second["variants"][row]
    told = repeated(replace(study, repeated=second))
    assert "1 of 2 teachers have the same weights, bit by bit, and 4 of 6 trainings" in told
    assert "; the largest difference of AP at the end is 0.0250. The second run" in told


def test_a_second_run_without_teachers_says_nothing_of_them(make):
    study = make(gains={"plain": 0.0})
    told = repeated(replace(study, repeated=study.content))
    assert told.startswith("**Repeated**, from nothing in another folder: 3 of 3 trainings")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda second: second["config"].update(epochs=21), r"repeated/small\.json is of other settings than"),
        (lambda second: second.update(trials={"unknown": second["trials"]["odkd"]}), "has none of the trainings"),
    ],
)
def test_a_second_run_of_something_else_is_refused(again, spoil, words):
    study, second = again
    spoil(second)
    with pytest.raises(ValueError, match=words):
        repeated(replace(study, repeated=second))


def test_second_runs_are_found_by_name(make, tmp_path):
    path = tmp_path / "results" / f"{make().name}.json"
    (tmp_path / "results" / "repeated").mkdir()
    shutil.copy(path, tmp_path / "results" / "repeated")
    (study,) = read_studies(tmp_path / "results", {})
    assert study.repeated == study.content
    (tmp_path / "results" / "repeated" / path.name).unlink()
    assert read_studies(tmp_path / "results", {})[0].repeated is None


def test_without_results_the_page_says_how_to_make_them():
    text = ablation_page.make_page([])
    assert "There are no results yet." in text.split("\n## ")[0]
    assert "kdkit-pose ablate --synthetic small" in text
    assert "make results" in text


def test_the_first_lines_answer(make):
    text = ablation_page.make_page([make()])
    first = text.split("\n## ")[0]
    assert "**This is not COCO**" in first
    lines = [line.strip() for line in first.splitlines()]
    # Paired: the seeds' common noise is larger than these intervals.
    study = make()
    gain = study.results.difference("odkd", "plain")
    words = f"+0.0200 ({gain.low:+.4f} to {gain.high:+.4f})"
    assert any(line.startswith(f"- **yes**: odkd minus plain {words}") for line in lines)
    assert any(line.startswith("- **no**: odkd_both minus plain -0.0300") for line in lines)
    told = "By cross-entropy: not tried. By squared error: once yes, once no."
    assert f"- **Does ODKD beat the plain student at equal steps?** {told}" in lines
    assert (
        "- **Does the order matter?** By cross-entropy: not tried. By squared error: once yes, once not shown."
        in lines
    )
    assert any(line.endswith("`**`, 3 seeds") for line in lines)
    assert any(line.startswith("- **yes**: odkd minus reversed +0.0100") for line in lines)
    assert any(line.startswith("- **not shown with 3 seeds**: odkd minus joint -0.0002") for line in lines)
    assert any(line.startswith("- **no**: odkd_both minus odkd -0.0500") for line in lines)
    assert any(line.startswith("- **yes**: odkd_both_0.3 minus odkd +0.0300") for line in lines)
    assert any(line.startswith("- **not shown with 3 seeds**: senior_only minus fpd") for line in lines)
    assert "on crowds: 0.5500 with the mask, 0.3100 without (**+0.2400**" in first


def test_what_is_said_by_hand_takes_its_differences_from_the_files(make):
    study = make(notes={"reading": "It is {small: odkd minus plain}."})
    value = study.comparison("odkd", "plain").value
    text = ablation_page.make_page([study], "- **Less** by {small: plain minus odkd}.")
    assert f"Read by hand: It is {value}." in text
    assert f"- **Less** by {study.comparison('plain', 'odkd').value}.\n\nBy studies:\n" in text.split("\n## ")[0]
    for wrong in ("{small: odkd minus nothing}", "{other: odkd minus plain}", "{odkd}"):
        with pytest.raises(ValueError, match=r"no study has|a brace is left"):
            ablation_page.make_page([study], wrong)


def test_a_difference_of_seeds_that_were_added_says_what_it_was_before(make):
    seeds = (0, 1, 2, 3, 4)
    text = ablation_page.make_page([make(seeds=seeds, notes={"added": [3, 4]})])
    before = make(seeds=(0, 1, 2)).comparison("odkd", "plain").value
    line = next(line for line in text.splitlines() if "odkd minus plain" in line)
    assert line.endswith(f", 5 seeds; with the first 3, before others were added, {before}")
    assert f"; {before} before seeds were added." in text
    assert "before" not in answers([make(seeds=seeds)])


def test_rows_by_cross_entropy_answer_too(make):
    gains = {
        "plain_binary_bce": 0.0,
        "blind_only_bce_alike_soft": 0.0102,
        "senior_only_bce_alike_soft": 0.02,
        "binary_bce_alike_soft": 0.03,
        "reversed_bce_alike_soft": 0.02,
        "binary_bce_alike": 0.02,
    }
    teachers = {"senior_bce": TEACHERS["senior"], "blind_bce": TEACHERS["blind"]}
    lines = [line.strip() for line in answers([make(gains=gains, teachers=teachers)]).splitlines()]
    for told in (
        "- **yes**: binary_bce_alike_soft minus plain_binary_bce +0.0300",
        "- **yes**: binary_bce_alike_soft minus reversed_bce_alike_soft +0.0100",
        "- **no**: binary_bce_alike minus binary_bce_alike_soft -0.0100",
        "- **yes**: senior_only_bce_alike_soft minus blind_only_bce_alike_soft +0.0098",
        "- the teacher's own AP on crowds, learned by cross-entropy: 0.5500 with the mask, 0.3100 without",
    ):
        assert any(line.startswith(told) for line in lines), told


def test_an_order_that_is_better_the_other_way_round_matters(make):
    study = make(gains={"plain": 0.0, "odkd": 0.01, "reversed": 0.03})
    assert "**yes, the other way round**: odkd minus reversed -0.0200" in answers([study])


def test_versions_of_odkd_are_told_apart_from_it(make):
    lines = answers([make()]).splitlines()
    at = lines.index("- **Is another version of ODKD by squared error better?**")
    assert lines[at + 1] == "    - [drawn people, 1,000 pictures, exact labels, learning_net](#small)"
    told = lines[at + 2]
    assert told.startswith(
        "        - of 3 rows beside odkd, about 0.1 of which chance alone would mark, "
        "**better**: odkd_both_0.3 minus odkd +0.0300 ("
    )
    assert "; **worse**: odkd_blind minus odkd -0.0080 (" in told
    assert ", odkd_both minus odkd -0.0500 (" in told
    gains = {"plain": 0.0, "odkd": 0.02, "odkd_early": 0.0202, "binary_mse": 0.0201}
    told = answers([make("alike", gains=gains)]).splitlines()[-1]
    assert told.endswith(", **not told from it**: binary_mse, odkd_early")


def test_rows_of_another_loss_answer_beside_each_other(make):
    gains = {"plain": 0.0, "odkd_bce": 0.02, "plain_bce": 0.01, "binary_bce": 0.03, "plain_binary_bce": 0.04}
    text = answers([make(gains=gains)])
    ahead, binarized = text.split("Does binarization help?")
    for line in ("**yes**: odkd_bce minus plain_bce +0.0100", "**no**: binary_bce minus plain_binary_bce -0.0100"):
        assert line in ahead
    for line in (
        "**yes**: binary_bce minus odkd_bce +0.0100",
        "**yes**: plain_binary_bce minus plain_bce +0.0300",
    ):
        assert line in binarized


def test_thresholds_are_judged_beside_a_half_and_losses_beside_each_other(make):
    gains = {
        **{"plain": 0.0, "odkd_both": 0.02, "odkd_both_0.3": 0.03, "plain_binary_bce": 0.04},
        **{"plain_binary_bce_0.7": 0.01, "binary_mse": 0.02, "binary_mse_sigmoid": 0.04, "binary_bce": 0.05},
    }
    text = answers([make(gains=gains)])
    _, thresholds = text.split("- **Is another threshold than 0.5 better?** ")
    thresholds, loss = thresholds.split("- **Is cross-entropy, with its sigmoid")
    assert thresholds.startswith("By cross-entropy: once no. By squared error: once yes.")
    assert "**yes**: odkd_both_0.3 minus odkd_both +0.0100" in thresholds
    assert "**no**: plain_binary_bce_0.7 minus plain_binary_bce -0.0300" in thresholds
    assert "?** 2 times yes.\n" in loss
    for line in (
        "**yes**: binary_bce minus binary_mse_sigmoid +0.0100",
        "**yes**: binary_bce minus binary_mse +0.0300",
    ):
        assert line in loss


def test_a_question_without_its_rows_is_left_out(make):
    study = make(gains={"plain": 0.0, "odkd": 0.02}, teachers={})
    text = answers([study])
    assert QUESTIONS[0].text in text
    assert all(question.text not in text for question in QUESTIONS[1:])
    assert "Is another version" not in text
    assert teachers_table(study) == ""
    assert pairs_table(study) == ""
    page = ablation_page.make_page([study])
    assert "odkd minus reversed" not in page
    assert "The teachers' own figures" not in page


def test_another_baseline_answers_the_same_and_counts_nothing_twice(make):
    study = make(gains={"plain": 0.0, "odkd": 0.02, "reversed": 0.01})
    turned = StudyFile("turned", {**study.content, "baseline": "odkd"})
    assert [one.name for one in turned.comparisons] == ["plain minus odkd", "reversed minus odkd"]
    assert "**yes**: odkd minus plain +0.0200" in answers([turned])
    assert "**yes**: odkd minus reversed +0.0100" in answers([turned])
    assert "beats the plain student: **agrees**, +0.0200" in findings(turned)


def test_the_page_s_command_makes_the_study_with_all_its_rows(make):
    text = ablation_page.make_page([make(gains={"plain": 0.0, "odkd": 0.02}, seeds=(0, 2))])
    assert "--labels exact" in text
    assert "--rows plain,odkd \\\n    --seeds 0,2 --out" in text
    assert "--json benchmarks/results/ablation/small.json" in text


def test_seeds_that_few_rows_have_get_a_command_of_their_own(make):
    study = make(gains={"plain": 0.0, "odkd": 0.02, "joint": 0.01, "reversed": 0.03, "fpd": 0.01})
    trials = {row: dict(by_seed) for row, by_seed in study.results.trials.items()}
    for row in ("plain", "odkd"):
        trials[row] |= dict.fromkeys((3, 4), trials[row][0])
    del trials["joint"][2]
    content = {**study.content, **Results(trials, "val/AP", "plain").to_json(), "seeds": [0, 1, 2, 3, 4]}
    text = ablation_page.make_page([replace(study, content=content)])
    more = "    --rows plain,odkd \\\n    --seeds 3,4 --out runs/benchmark\n"
    rest = "    --rows plain,odkd,joint,reversed,fpd \\\n    --seeds 0,1,2 --out runs/benchmark --json benchmarks/"
    assert 0 < text.index(more) < text.index(rest)
    assert "Not trained: seeds 2, 3 and 4 of joint; seeds 3 and 4 of reversed and fpd." in text


def test_one_seed_answers_nothing(make, tmp_path):
    study = make(seeds=(0,))
    text = ablation_page.make_page([study])
    assert "**not shown with 1 seed**: odkd minus plain +0.0" in text
    assert "**yes**" not in text.replace("*yes* or", "")
    assert "One seed: there are no intervals" in text
    assert "`*`" not in findings(study)
    assert len(ablation_page.draw_all([study], tmp_path)) == 2


def test_two_files_have_a_section_and_an_answer_each(make, tmp_path):
    make("second", gains={"plain": 0.0, "odkd": 0.01}, benchmark={**BENCHMARK, "labels": "coco"})
    make("first")
    notes = {"second": {"title": "By hand", "reading": "It is so.\n"}}
    studies = read_studies(tmp_path / "results", notes)
    assert [study.name for study in studies] == ["second", "first"]  # as the notes have them
    text = ablation_page.make_page(studies)
    assert "\n## By hand {#second}\n" in text
    assert "\n## Drawn people, 1,000 pictures, exact labels, learning_net {#first}\n" in text
    assert "    - [By hand](#second)\n        - **yes**: odkd minus plain +0.0100" in text
    assert "Read by hand: It is so.\n" in text
    assert "labels as COCO's are" in text
    assert text.count("From `benchmarks/results/ablation/second.json`.") == 4  # teachers, rows, way, cost
    assert text.count("From `benchmarks/results/ablation/first.json`.") == 5  # and other pairs
    assert title(StudyFile("mine", {"config": {"student": "net"}})) == "mine: net"


def test_a_study_of_ones_own_persons_is_none_of_drawn_people(make):
    text = ablation_page.make_page([make(benchmark=None)])
    assert "Persons of a data set of its own. The student is `learning_net`." in text


def test_teachers_that_learned_from_real_persons_answer_whether_the_mask_helps(make, tmp_path):
    make("real", gains={"plain": 0.0, "odkd": 0.01}, benchmark=None, teachers={})
    networks = {
        "blind": {"drawn people": {"AP": 0.1}, "real persons": {"AP": 0.25}},
        "senior": {"drawn people": {"AP": 0.2}, "real persons": {"AP": 0.4}},
        "student": {"drawn people": {"AP": 0.05}},
    }
    beside = tmp_path / "results" / "networks" / "real.json"
    beside.parent.mkdir()
    beside.write_text(json.dumps({"persons": {"train": 1231, "val": 301}, "networks": networks}))
    text = ablation_page.make_page(read_studies(tmp_path / "results", {}))
    assert "the teacher's own AP on real persons: 0.4000 with the mask, 0.2500 without (**+0.1500**;" in text
    assert "1,231 real persons to train on and 301 to be judged on" in text
    assert (
        "| network | AP after drawn people | AP after real persons |\n| --- | ---: | ---: |\n"
        "| blind | 0.1000 | 0.2500 |\n| senior | 0.2000 | 0.4000 |\n| student | 0.0500 |  |\n"
    ) in text


def test_tables_hold_the_files_numbers(make):
    study = make()
    table = rows_table(study)
    row = next(one for one in study.results.rows if one.name == "odkd")
    cells = [cell.strip() for cell in next(x for x in table.splitlines() if x.startswith("| odkd |")).split("|")]
    assert cells[2:4] == ["3", f"{row.metric.mean:.4f} ({row.metric.low:.4f} to {row.metric.high:.4f})"]
    people, crowds = f"{row.metric.mean + 0.1:.4f}", f"{row.metric.mean - 0.1:.4f}"
    assert f"| odkd | what odkd is | {people} | {crowds} | 100 | 3,200 | 1,600 |\n" in cost_table(study)
    kept = {(one["variant"], one["other"]): one for one in study.content["differences"]}
    shown = {(one.variant, one.other): one for one in study.comparisons}
    assert kept.keys() == shown.keys()
    for pair, one in kept.items():
        assert shown[pair].difference.mean == pytest.approx(one["mean"])
        assert shown[pair].value in table + pairs_table(study)


def test_the_way_there_is_told_by_steps(make):
    study = make(gains={"plain": 0.0, "odkd": 0.02, "joint": 0.0001})
    # Of another length, or never evaluated where the others were: it has no place there.
    trials = {row: dict(study.results.trials[row]) for row in study.results.trials}
    trials["longer"] = {seed: replace(one, steps=200) for seed, one in trials["plain"].items()}
    trials["joint"][1] = replace(trials["joint"][1], curve=trials["joint"][1].curve[1:])
    results = Results(trials, "val/AP", "plain")
    lines = course_table(replace(study, content={**study.content, **results.to_json()})).splitlines()
    assert lines[0] == "| row | 50 | 100 |"
    half, whole = results.difference("odkd", "plain").mean / 2, results.difference("odkd", "plain").mean
    assert lines[2] == f"| odkd | {half:+.4f} `*` | {whole:+.4f} `*` |"
    assert lines[3] == f"| joint |  | {results.difference('joint', 'plain').mean:+.4f} |"
    assert len(lines) == 4


def test_one_evaluation_is_no_way(make):
    study = make()
    trials = {
        row: {seed: replace(one, curve=one.curve[-1:]) for seed, one in by_seed.items()}
        for row, by_seed in study.results.trials.items()
    }
    content = {**study.content, **Results(trials, "val/AP", "plain").to_json()}
    assert not course_table(replace(study, content=content))


def test_time_is_not_told(make):
    assert "77.7" not in ablation_page.make_page([make()])


def test_marks_count_how_many_differences_there_are(make):
    study = make()
    found = {one.name: one for one in study.comparisons}
    p_values = {name: study.results.p_value(one.variant, one.other) for name, one in found.items()}
    assert all(one.adjusted >= p_values[name] for name, one in found.items())
    least = min(p_values, key=p_values.get)
    assert found[least].adjusted == pytest.approx(len(found) * p_values[least])
    assert {one.mark for one in found.values()} == {"", "*", "**"}
    text = findings(study)
    clear = sum(one.mark != "" for one in found.values())
    held = sum(one.mark == "**" for one in found.values())
    assert f"Of {len(found)} differences with an interval {clear} leave out 0" in text
    assert f"about {len(found) / 20:.1f} would" in text
    assert (f"{held} hold after" if held > 1 else "One holds after") in text


def test_the_papers_claims_are_judged_by_the_intervals(make):
    text = findings(make())
    assert "ODKD with its binarization beats the plain student: **contradicted**, -0.0300" in text
    assert "ODKD, here without its binarization, beats the plain student: **agrees**, +0.0200" in text
    assert "both at once: **neither shown nor refuted**, -0.0002" in text
    assert "mask helps the student: **agrees**" in text
    small = findings(make("less", gains={"plain": 0.0, "odkd": 0.003}))
    assert "reported on COCO are +0.010 to +0.033, and the whole interval is below" in small


def test_what_is_unfinished_is_said(make):
    study = make()
    trials = {name: dict(by_seed) for name, by_seed in study.content["trials"].items()}
    del trials["reversed"]["1"], trials["reversed"]["2"]
    trials["joint"] = {}
    less = StudyFile("small", {**study.content, "trials": trials})
    text = findings(less)
    assert "Not trained: seeds 0, 1 and 2 of joint; seeds 1 and 2 of reversed. A difference is over the" in text
    page = ablation_page.make_page([less])
    assert "odkd minus joint" not in page
    assert "**not shown with 1 seed**: odkd minus reversed" in page


def test_smaller_may_be_better():
    trials = {
        name: {seed: Trial({"val/AP": value + NOISE[seed] * (name == "odkd")}, 1, 1) for seed in SEEDS}
        for name, value in (("plain", 1.0), ("odkd", 0.5))
    }
    (one,) = comparisons(Results(trials, "val/AP", "plain", "min"))
    assert (one.verdict, one.difference.mean < 0) == ("better", True)


def test_the_machine_is_named_where_it_was_kept(make):
    study = make()
    text = ablation_page.make_page([study])
    assert (
        "- 27 trainings on A machine, 2 cores, 2026-01-02, commit abc, with python 3.11, kdkit 0.1, torch 2.11.\n"
    ) in text
    old = {**study.content["made"][0], "machine": None, "commit": None, "dates": []}
    text = ablation_page.make_page([StudyFile("small", {**study.content, "made": [old]})])
    assert "trainings on a machine that was not recorded, commit not recorded, with python" in text


def test_figures_are_drawn_the_same_each_time(make, tmp_path):
    study = make(gains={"plain": 0.0, "odkd": 0.02})
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    names = [path.name for path in ablation_page.draw_all([study], first)]
    assert names == ["ablation-small-differences.png", "ablation-small-curves.png"]
    ablation_page.draw_all([study], second)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    text = ablation_page.make_page([study])
    assert all(f"(../images/{name})" in text for name in names)


def test_a_second_run_changes_nothing_and_what_is_gone_is_removed(make, tmp_path, monkeypatch):
    make(gains={"plain": 0.0, "odkd": 0.02})
    for name in ("PAGE", "IMAGES", "RESULTS", "ROOT"):
        place = {"PAGE": tmp_path / "page.md", "RESULTS": tmp_path / "results", "IMAGES": tmp_path / "images"}
        monkeypatch.setattr(ablation_page, name, place.get(name, tmp_path))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ablation-gone-curves.png").write_bytes(b"")
    ablation_page.main()

    def content():
        files = [tmp_path / "page.md", *sorted((tmp_path / "images").iterdir())]
        return {path.name: path.read_bytes() for path in files}

    first = content()
    ablation_page.main()
    assert content() == first
    assert list(first) == ["page.md", "ablation-small-curves.png", "ablation-small-differences.png"]


def test_what_is_no_study_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="no study's report: write one with kdkit-pose ablate --json"):
        read_studies(tmp_path, {})


def test_doctests():
    found = doctest.testmod(questions)
    assert (found.failed, found.attempted > 1) == (0, True)
