"""The synthetic benchmark at toy size, and a study on it."""

import json
import threading
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from kdkit import ConfigurationError, RunFolderError
from kdkit_pose import MaskAwareTeacher, models, recipes
from kdkit_pose.ablation import ROWS, SMALL, SyntheticBenchmark, benchmark_people
from kdkit_pose.data import loader
from kdkit_pose.synthetic import write_coco

TOY = replace(
    SMALL,
    train_pictures=5,
    val_pictures=4,
    input_size=(64, 64),
    teacher="hrnet_w8_small",
    batch_size=4,
    primary_epochs=1,
    senior_epochs=1,
    epochs=2,
    evaluations=1,
)
NAMES = ("plain", "odkd")


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def bench(tmp_path_factory, said):
    return SyntheticBenchmark(tmp_path_factory.mktemp("benchmark"), TOY, "coco", cpu=True, say=said.append)


@pytest.fixture(scope="module")
def study(bench):
    return bench.study(("primary", "senior"))


@pytest.fixture(scope="module")
def results(study, bench):
    return study.ablation(NAMES, (0, 1), bench.out / "core").run()


def test_people_and_crowds_are_of_one_file_and_no_picture_is_in_both_splits(bench, results):
    folder = bench.out / "people" / "annotations"
    exact, redone, val = (
        json.loads((folder / f"person_keypoints_{name}.json").read_text())
        for name in ("train", "train_coco", "val")
    )
    assert [image["id"] for image in exact["images"]] == [1, 2, 3, 4, 5]
    assert len({one["id"] for one in exact["annotations"]}) == len(exact["annotations"])
    assert exact["annotations"] != redone["annotations"]
    assert "annotator" not in val["info"]
    people = {repr(one) for split in ("train", "val") for one in benchmark_people(TOY, split).values()}
    assert len(people) == 4
    crowded = [one["image_id"] for one in exact["annotations"] if one["image_id"] > 3]
    assert len(crowded) / 2 > (len(exact["annotations"]) - len(crowded)) / 3


def test_rows_take_the_same_steps_and_say_what_they_cost(results, study):
    plain, odkd = results.rows
    assert plain.metric.count == odkd.metric.count == 2
    assert plain.steps == odkd.steps > 2
    assert (plain.teacher_passes, odkd.teacher_passes) == (0, odkd.samples)
    trial = results.trials["odkd"][0]
    assert set(trial.teacher_passes) == {"primary", "senior"}
    assert {"val/AP", "val/AP_people", "val/AP_crowds"} <= trial.metrics.keys()
    assert trial.notes == {"decoder": "peak", "targets": "live"}


def test_a_seed_gives_every_row_the_same_beginning(study, monkeypatch, tmp_path):
    """Weights and the first epoch's samples: rows differ by what they learn from alone."""
    begun = {}

    def look(network, curriculum, data, folder, settings, **options):
        order = loader(data, 4, seed=settings.seed, shuffle=True)
        begun[folder.parts[-3], settings.seed] = [*network.state_dict().values(), next(iter(order))["image"]]
        raise KeyboardInterrupt

    monkeypatch.setattr("kdkit_pose.ablation.study.fit", look)
    ablation = study.ablation(NAMES, (0, 1), tmp_path)
    for variant in ablation.variants:
        for seed in ablation.seeds:
            with pytest.raises(KeyboardInterrupt):
                variant.train(seed, ablation.trial_path(variant.name, seed).parent / "run")
    same = [torch.equal(*pair) for pair in zip(begun["plain", 0], begun["odkd", 0], strict=True)]
    assert len(same) > 100
    assert all(same)
    other = [torch.equal(*pair) for pair in zip(begun["plain", 0], begun["plain", 1], strict=True)]
    assert not other[0]
    assert not other[-1]


def test_a_row_may_have_a_student_with_a_sigmoid(study, results, tmp_path):
    (variant,) = study.ablation(("plain", "binary_bce"), (0,), tmp_path).variants[1:]
    trial = variant.train(0, tmp_path / "run")
    assert models.load(tmp_path / "run" / "student.safetensors").activation == "sigmoid"
    assert trial.steps == results.trials["plain"][0].steps
    assert trial.notes["decoder"] == "centroid"


def test_a_student_of_teachers_that_learned_discs_is_read_by_centroids(study, results):
    """And rows of others are not; a row whose teachers read no mask needs none."""
    disc = replace(study.teachers["primary"].module.codec, decoder="centroid")
    primary = MaskAwareTeacher("primary", models.create("hrnet_w8_small"))
    primary.module.codec = disc
    other = replace(study, teachers={**study.teachers, "primary": primary})
    found = {}
    for name in ("primary_only", "reversed", "odkd", "plain"):
        row = ROWS[name]
        found[name] = recipes.decoder_for(row.curriculum(other._plan(other.teachers)))
    assert found == {"primary_only": "centroid", "reversed": "centroid", "odkd": "peak", "plain": "peak"}
    data = study.train(0)
    assert data.has_masks
    for name, masks in (("plain", False), ("primary_only", False), ("odkd", True)):
        assert replace(study, targets=None, share=False)._learned_from(ROWS[name], data)[1].has_masks == masks


def test_people_of_another_size_that_were_left_half_drawn_are_refused(tmp_path):
    write_coco(benchmark_people(replace(TOY, val_pictures=2), "val")["people"], tmp_path / "people", "val_people")
    with pytest.raises(RunFolderError, match=r"val_people.json' holds other people"):
        SyntheticBenchmark(tmp_path, TOY).validation()


def test_processes_side_by_side_make_a_teacher_one_after_the_other(bench, study, monkeypatch):
    at_it, most = [], []

    def slow(*arguments, **options):
        at_it.append(1)
        most.append(len(at_it))
        time.sleep(0.1)
        at_it.pop()
        raise KeyboardInterrupt

    monkeypatch.setattr("kdkit_pose.ablation.benchmark.fit", slow)

    def make():
        with pytest.raises(KeyboardInterrupt):
            bench.teacher("primary")

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]


def test_processes_side_by_side_train_different_teachers(tmp_path, monkeypatch):
    """The primary first, since the others start from it; then each what the other is not at."""
    made, at_once = [], []

    def train(self, role, folder):
        if not (folder / "made").exists():
            folder.mkdir(exist_ok=True)
            at_once.append(role)
            time.sleep(0.3)
            made.append((role, frozenset(at_once)))
            at_once.remove(role)
            (folder / "made").touch()
        return role

    monkeypatch.setattr(SyntheticBenchmark, "_train_teacher", train)
    found = []

    def work():
        found.append(SyntheticBenchmark(tmp_path, TOY, cpu=True).teachers(("blind", "senior", "primary")))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{role: role for role in ("blind", "senior", "primary")}] * 2
    assert made[0] == ("primary", {"primary"})
    assert sorted(role for role, _ in made) == ["blind", "primary", "senior"]
    assert {"blind", "senior"} in [together for _, together in made[1:]]


def test_a_row_repeats_itself(study, results, bench, tmp_path):
    again = study.ablation(NAMES, (0,), tmp_path).run()
    assert again.trials["odkd"][0].metrics == results.trials["odkd"][0].metrics
    files = [
        load_file(folder / "odkd" / "seed-0" / "run" / "student.safetensors")
        for folder in (tmp_path, bench.out / "core")
    ]
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[0])


def test_teachers_are_made_once_and_the_senior_reads_the_mask(bench, study, said):
    assert study.teachers["senior"].reads == ("image", "mask")
    assert study.teachers["primary"].reads == ("image",)
    before = (bench.out / "teachers-coco" / "senior" / "metrics.jsonl").read_bytes()
    again = SyntheticBenchmark(bench.out, TOY, "coco", cpu=True).study(("primary", "senior"))
    assert {role: one.fingerprint() for role, one in again.teachers.items()} == {
        role: one.fingerprint() for role, one in study.teachers.items()
    }
    assert (bench.out / "teachers-coco" / "senior" / "metrics.jsonl").read_bytes() == before
    assert any("teacher senior: hrnet_w8_small, 1 epochs" in line for line in said)


def test_teachers_that_learned_by_cross_entropy_have_probabilities_read_by_centroids(bench, study, tmp_path):
    """And their senior begins from their own primary, which the others know nothing of."""
    teachers = bench.teachers(("senior_bce", "senior"))
    senior = teachers["senior_bce"]
    assert (senior.inputs, senior.activation, senior.codec.decoder) == (("image", "mask"), "sigmoid", "centroid")
    assert teachers["senior"].codec.decoder == "peak"
    assert (bench.out / "teachers-coco" / "primary_bce" / "student.safetensors").exists()
    metrics = bench.evaluator().decoded_by("centroid")(senior)
    assert bench.teacher_metrics("senior_bce") == pytest.approx(metrics)
    names = ("plain", "binary_bce_alike_soft")
    alike = replace(bench.study(("primary_bce", "senior_bce")), share=False, targets=None)
    (_, variant) = alike.ablation(names, (0,), tmp_path).variants
    trial = variant.train(0, tmp_path / "run")
    assert set(trial.teacher_passes) == {"primary_bce", "senior_bce"}
    assert trial.notes["decoder"] == "centroid"


def test_a_teacher_of_no_role_is_refused(bench):
    for ask in (lambda: bench.teacher("seniors"), lambda: bench.teachers(("primary", "seniors"))):
        with pytest.raises(ConfigurationError, match="no teacher 'seniors', only primary, senior, "):
            ask()


def test_the_report_says_how_good_the_teachers_are(bench, study, results):
    content = json.loads((bench.out / "core" / "results.json").read_text())
    assert list(content["about"]["teachers"]) == ["primary", "senior"]
    network = study.teachers["senior"].module
    assert content["about"]["teachers"]["senior"] == pytest.approx(bench.evaluator()(network))
    with pytest.raises(RunFolderError, match="no trained teacher yet"):
        bench.teacher_metrics("blind")


def test_the_evaluator_judges_parts_as_if_there_were_no_other(bench, study):
    network = study.teachers["primary"].module
    evaluator = bench.evaluator()
    results = evaluator.results(network)
    everyone = evaluator.score_pictures(results, {1, 2, 3, 4})
    assert everyone == evaluator.score(results)
    assert evaluator.score_pictures([], {1})["AP"] == 0


def test_another_size_in_the_folder_is_refused(bench, results):
    other = SyntheticBenchmark(bench.out, replace(TOY, train_pictures=6), cpu=True)
    with pytest.raises(RunFolderError, match="holds other people"):
        other.train(0)


def test_a_missing_teacher_is_named_before_anything_is_trained(study, tmp_path):
    with pytest.raises(ConfigurationError, match=r"row 'fpd': there is no teacher for \['blind'\]"):
        study.ablation(("plain", "fpd"), (0,), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_rows_of_a_seed_share_what_teachers_saw(bench, study, results, monkeypatch, tmp_path):
    folder = bench.out / "targets-coco"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{role}-seed-{seed}" for role in ("primary", "senior") for seed in (0, 1)
    ]
    live = replace(study, share=False).ablation(NAMES, (0,), tmp_path / "live").run()
    shared, own = (one.trials["odkd"][0] for one in (results, live))
    assert shared.teacher_passes == own.teacher_passes
    assert shared.samples == own.samples
    trained = [
        load_file(out / "odkd" / "seed-0" / "run" / "student.safetensors")["final_layer.weight"]
        for out in (tmp_path / "live", bench.out / "core")
    ]
    assert torch.allclose(*trained, atol=1e-3)  # half precision, over some steps
    looked = []
    real = MaskAwareTeacher.targets
    monkeypatch.setattr(
        MaskAwareTeacher, "targets", lambda self, batch: looked.append(len(batch["image"])) or real(self, batch)
    )
    again = study.ablation(("plain", "reversed"), (0,), tmp_path / "shared").run()
    assert again.trials["reversed"][0].steps == shared.steps
    assert set(looked) == {1}  # the sample that says how large heatmaps are


def test_canonical_heatmaps_serve_every_seed(study, bench, tmp_path):
    found = study.ablation(("plain", "odkd_canonical"), (0, 1), tmp_path).run()
    trial = found.trials["odkd_canonical"][1]
    assert trial.notes["targets"] == "canonical"
    assert trial.teacher_passes == dict.fromkeys(("primary", "senior"), len(bench.train(0)))
    assert (bench.out / "targets-coco" / "senior-canonical").is_dir()
    assert not list(tmp_path.glob("senior-canonical*"))


def test_heatmaps_need_a_place(study, tmp_path):
    with pytest.raises(ConfigurationError, match="shared need a place"):
        replace(study, targets=None)
    bare = replace(study, targets=None, share=False)
    with pytest.raises(ConfigurationError, match="row 'odkd_canonical' learns from canonical heatmaps"):
        bare.ablation(("plain", "odkd_canonical"), (0,), tmp_path)
