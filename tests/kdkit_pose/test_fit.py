import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from kdkit import (
    BatchError,
    ConfigurationError,
    Plateau,
    RunFolderError,
    Standardize,
    TransformedTeacher,
    Truncate,
    losses,
)
from kdkit_pose import Augment, MaskAwareTeacher, codecs, models, recipes
from kdkit_pose.codecs import DARK
from kdkit_pose.data import loader
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.fit import FitSettings, check_run_folder, fit

SETTINGS = {"batch_size": 4, "evaluate_every": 1, "schedule": "cosine", "cpu": True, "progress": False}


class Interrupted(Exception):
    """Stands for a crash."""


class Fragile:
    """Draws pictures, or evaluates, a given number of times, and then crashes."""

    def __init__(self, inner, left):
        self.inner, self.left = inner, left
        self.fingerprint = getattr(inner, "fingerprint", None)

    def __call__(self, argument):
        if self.left == 0:
            raise Interrupted
        self.left -= 1
        return self.inner(argument)


@pytest.fixture(scope="module")
def run(small_network, tiny_teacher, tiny_people, tiny_evaluator):
    """Runs ODKD, two epochs a stage."""

    def start(
        out,
        *,
        wrap=None,
        evaluator=tiny_evaluator,
        data_seed=1,
        network=None,
        curriculum=None,
        before_training=None,
        **options,
    ):
        curriculum = curriculum or recipes.odkd(
            tiny_teacher("primary"), tiny_teacher("senior", "concat"), primary_until=2, senior_until=2
        )
        settings = FitSettings(**{**SETTINGS, **options})
        data = tiny_people(drawing=data_seed, wrap=wrap, augment=Augment(), seed=settings.seed, masks=True)
        codec = DARK(input_size=(32, 32), decoder=recipes.decoder_for(curriculum))
        network = network or small_network(9, activation="sigmoid")
        return fit(
            *(network, curriculum, data, out, settings),
            evaluator=evaluator,
            codec=codec,
            before_training=before_training,
        )

    return start


def outcome(folder):
    last = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds")
    momenta = {
        (index, key): value.tolist() if isinstance(value, torch.Tensor) else value
        for index, state in last["optimizer"]["state"].items()
        for key, value in state.items()
    }
    student = {key: value.tolist() for key, value in load_file(folder / "student.safetensors").items()}
    return (student, models.read_metadata(folder / "student.safetensors")), lines, momenta


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    run(folder)
    return outcome(folder)


def test_the_students_file_is_a_plain_network_with_its_name_and_codec(run, tmp_path, small_network):
    network = small_network(9, activation="sigmoid")
    result = run(tmp_path, network=network, export="last")
    assert result.epochs == 4
    metadata = models.read_metadata(result.student)
    assert metadata["model"] == "hrnet_w8_small"
    assert codecs.from_metadata(metadata) == DARK(input_size=(32, 32), decoder="centroid")
    bare = small_network(3)
    bare.load_state_dict(load_file(result.student), strict=True)
    loaded = models.load(result.student)
    for key, value in network.state_dict().items():
        assert torch.equal(value, bare.state_dict()[key])
        assert torch.equal(value, loaded.state_dict()[key])


@pytest.mark.parametrize(
    ("activation", "loss", "decoder"), [("sigmoid", losses.bce, "centroid"), ("none", losses.mse, "peak")]
)
def test_without_a_codec_the_file_has_the_datas_and_says_how_to_read_what_was_learned(
    small_network, tiny_people, tmp_path, activation, loss, decoder
):
    """And so the evaluator reads it, whatever its own decoder."""
    read = []

    class Watched(Evaluator):
        def __call__(self, module):
            read.append(self._codec.decoder)
            return super().__call__(module)

    data, network = tiny_people(), small_network(activation=activation)
    held_out = tiny_people(drawing=2, pictures=2)
    evaluator = Watched(loader(held_out, 8), held_out.coco_dict(), held_out.codec, flip=False)
    curriculum = recipes.supervised(until=1, loss=loss)
    result = fit(network, curriculum, data, tmp_path, FitSettings(**SETTINGS), evaluator=evaluator)
    assert codecs.from_metadata(models.read_metadata(result.student)) == replace(data.codec, decoder=decoder)
    assert read == [decoder]


def test_centroids_that_the_data_asks_for_are_kept(small_network, tiny_people, tmp_path):
    data = tiny_people(codec=DARK(input_size=(32, 32), decoder="centroid"))
    result = fit(
        small_network(), recipes.supervised(until=1, loss=losses.mse), data, tmp_path, FitSettings(**SETTINGS)
    )
    assert codecs.from_metadata(models.read_metadata(result.student)) == data.codec


def test_a_network_that_reads_the_mask_trains_with_it(small_network, tiny_people, tmp_path):
    network = small_network(mask_fusion="concat", activation="sigmoid")
    result = fit(network, recipes.supervised(until=1), tiny_people(), tmp_path, FitSettings(**SETTINGS))
    assert models.load(result.student).inputs == ("image", "mask")
    assert network.conv1.weight[:, 3:].abs().sum() > 0


# An epoch reads each of the pictures' persons once, before it one picture is read for the check.
@pytest.mark.parametrize("pictures", [3, 24])
def test_resumed_after_a_crash_while_reading_equals_never_stopping(run, straight, tmp_path, pictures):
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", wrap=lambda draw: Fragile(draw, pictures))
    assert not (tmp_path / "resumed" / "student.safetensors").exists()
    torch.rand(5)
    run(tmp_path / "resumed")
    assert outcome(tmp_path / "resumed") == straight


@pytest.mark.parametrize("evaluations", [0, 2])
def test_resumed_after_a_crash_while_evaluating_equals_never_stopping(
    run, straight, tiny_evaluator, tmp_path, evaluations
):
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", evaluator=Fragile(tiny_evaluator, evaluations))
    run(tmp_path / "resumed")
    assert outcome(tmp_path / "resumed") == straight


@pytest.mark.parametrize("evaluations", [1, 3])
def test_a_worker_changes_nothing_not_even_when_resumed(run, straight, tiny_evaluator, tmp_path, evaluations):
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", evaluator=Fragile(tiny_evaluator, evaluations), workers=1)
    run(tmp_path / "resumed", workers=1)
    assert outcome(tmp_path / "resumed") == straight


def test_the_comparison_can_fail(run, straight, tmp_path):
    run(tmp_path / "other", seed=1)
    student, lines, momenta = outcome(tmp_path / "other")
    assert student[0] != straight[0][0]
    assert lines != straight[1]
    assert momenta != straight[2]


def test_a_finished_run_stays_as_it_is(run, straight, tmp_path):
    run(tmp_path)
    result = run(tmp_path)
    assert result.epochs == 4
    assert outcome(tmp_path) == straight


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


@pytest.mark.parametrize("change", [{"seed": 1}, {"data_seed": 5}, {"batch_size": 2}, {"learning_rate": 1e-4}])
def test_another_run_is_refused_and_nothing_is_touched(run, finished, change):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match="another run"):
        run(finished, **change)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("other", ["persons", "ground truth"])
def test_other_validation_data_are_another_run(run, tiny_people, tmp_path, other):
    one, two = (tiny_people(drawing=drawing, pictures=2) for drawing in (2, 3))
    truth = one.coco_dict()
    moved = [{**person, "area": person["area"] + 1} for person in truth["annotations"]]
    changed = (two, truth) if other == "persons" else (one, {**truth, "annotations": moved})
    for data, annotations in ((one, truth), (one, truth), changed):
        evaluator = Evaluator(loader(data, 8), annotations, data.codec, flip=False)
        if (data, annotations) == changed:
            with pytest.raises(RunFolderError, match="validation"):
                run(tmp_path, evaluator=evaluator)
        else:
            run(tmp_path, evaluator=evaluator)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 500}, "batch size is 500, but there are only"),
        ({"learning_rate": -1.0}, "learning rate"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"schedule": "zigzag"}, "'zigzag'"),
        ({"ema": 1.5}, "ema"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_the_folder_is_made(run, tmp_path, change, words):
    with pytest.raises(ConfigurationError, match=words):
        run(tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_data_that_do_not_fit_the_network_are_refused_before_the_folder_is_made(
    small_network, tiny_people, tmp_path
):
    data = tiny_people(codec=DARK(input_size=(60, 60)))
    with pytest.raises(BatchError, match="multiples of 32"):
        fit(
            small_network(activation="sigmoid"),
            recipes.supervised(until=1),
            data,
            tmp_path / "out",
            FitSettings(**SETTINGS),
        )
    assert not (tmp_path / "out").exists()


def test_a_teacher_of_other_keypoints_is_refused(small_network, tiny_people, tmp_path):
    teacher = MaskAwareTeacher("primary", small_network(num_keypoints=14))
    settings = FitSettings(**SETTINGS)
    with pytest.raises(BatchError, match="distill/primary/heatmap"):
        fit(
            small_network(activation="sigmoid"),
            recipes.fpd(teacher, until=1),
            tiny_people(),
            tmp_path / "out",
            settings,
        )
    assert not (tmp_path / "out").exists()


def rates(folder):
    return [json.loads(line)["learning_rate"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_schedule_is_the_settings_unless_the_curriculum_has_one(small_network, tiny_people, tmp_path):
    for name, own, expected in (("settings", None, False), ("own", 1e-3, True)):
        settings = FitSettings(**{**SETTINGS, "learning_rate": 1e-3})
        curriculum = recipes.supervised(until=3, learning_rate=own)
        fit(small_network(activation="sigmoid"), curriculum, tiny_people(), tmp_path / name, settings)
        found = rates(tmp_path / name)
        assert (found == [1e-3] * 3) == expected
        assert found == sorted(found, reverse=True)


def test_warm_up_steps_raise_the_rate(small_network, tiny_people, tmp_path):
    settings = FitSettings(**{**SETTINGS, "schedule": "constant", "warmup_steps": 1000})
    fit(small_network(activation="sigmoid"), recipes.supervised(until=2), tiny_people(), tmp_path, settings)
    assert 0 < rates(tmp_path)[0] < rates(tmp_path)[1] < 1e-4


def test_a_stage_may_end_on_a_plateau(run, tiny_teacher, tmp_path):
    from kdkit import Epochs

    early = Epochs(9) | Plateau("val/AP", patience=2)
    curriculum = recipes.odkd(
        tiny_teacher("primary"), tiny_teacher("senior", "add"), primary_until=early, senior_until=1
    )
    scores = iter([0.1, 0.2, 0.2, 0.1, 0.3])
    result = run(tmp_path, curriculum=curriculum, evaluator=lambda network: {"val/AP": next(scores)})
    assert (result.epochs, result.best) == (5, 0.3)


def test_a_curriculum_that_awaits_a_metric_needs_an_evaluator(run, tiny_teacher, tmp_path):
    curriculum = recipes.primary_only(tiny_teacher("primary"), until=Plateau("val/AP", patience=2))
    with pytest.raises(ConfigurationError, match="val/AP"):
        run(tmp_path, curriculum=curriculum, evaluator=None, schedule="constant")


def test_tensorboard_curves_are_written_beside_the_run(run, tmp_path):
    run(tmp_path, tensorboard=True)
    assert list(tmp_path.rglob("events.out.tfevents*"))


@pytest.fixture
def hourglass():
    torch.manual_seed(0)
    config = models.HourglassConfig("small", stacks=2, channels=8, depth=2)
    return models.StackedHourglass("small", config, 17)


def test_every_stack_of_an_hourglass_is_trained(hourglass, tiny_teacher, tiny_people, tmp_path):
    curriculum = recipes.fpd(tiny_teacher("teacher"), until=2, outputs=hourglass.heatmap_outputs)
    before = [head.weight.clone() for head in hourglass.heatmaps]
    result = fit(hourglass, curriculum, tiny_people(), tmp_path, FitSettings(**SETTINGS))
    assert not any(torch.equal(head.weight, old) for head, old in zip(hourglass.heatmaps, before, strict=True))
    assert load_file(result.student).keys() == hourglass.state_dict().keys()
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert {"supervise/heatmap", "supervise/heatmap_1", "distill/teacher/heatmap_1"} <= {
        key.removeprefix("loss/").removeprefix("train/") for key in _flat(line)
    }


def _flat(line):
    return {
        key for outer, value in line.items() for key in ([outer, *value] if isinstance(value, dict) else [outer])
    }


def test_a_stage_that_leaves_out_a_stack_is_refused(hourglass, tiny_people, tmp_path):
    with pytest.raises(
        ConfigurationError, match="'supervised' has no objective for heatmap_1, which the student must"
    ):
        fit(
            hourglass,
            recipes.supervised(until=1, loss=losses.mse),
            tiny_people(),
            tmp_path / "out",
            FitSettings(**SETTINGS),
        )
    assert not (tmp_path / "out").exists()


def test_a_stack_may_be_left_out_on_purpose(hourglass, tiny_people, tmp_path):
    from kdkit import Curriculum, Epochs, Stage, Supervise, losses

    objectives = [
        Supervise("heatmap", losses.mse),
        Supervise("heatmap_1", losses.mse, target="heatmap", weight=0),
    ]
    curriculum = Curriculum(Stage("last", objectives, until=Epochs(1)))
    fit(hourglass, curriculum, tiny_people(), tmp_path, FitSettings(**SETTINGS))
    assert not any("heatmap_1" in key for key in _flat(json.loads((tmp_path / "metrics.jsonl").read_text())))


def test_what_takes_long_comes_after_all_checks_and_changes_nothing(run, straight, tmp_path):
    folder = tmp_path / "run"
    seen = []

    def before_training():
        seen.append(folder.exists())
        torch.rand(5)

    with pytest.raises(ConfigurationError, match="batch size"):
        run(folder, before_training=before_training, batch_size=500)
    assert seen == []
    run(folder, before_training=before_training)
    assert seen == [False]
    assert outcome(folder) == straight
    run(folder, before_training=before_training)  # finished
    with pytest.raises(RunFolderError, match="another run"):
        run(folder, before_training=before_training, seed=1)
    assert seen == [False]


def test_a_run_that_goes_on_does_what_takes_long_again(run, tiny_evaluator, tmp_path):
    calls = []
    with pytest.raises(Interrupted):
        run(tmp_path, evaluator=Fragile(tiny_evaluator, 1))
    with pytest.raises(RunFolderError, match="another run"):
        run(tmp_path, before_training=lambda: calls.append(0), seed=1)
    run(tmp_path, before_training=lambda: calls.append(1))
    assert calls == [1]


def test_training_draws_by_its_seed_whatever_was_drawn_before(run, tmp_path, monkeypatch):
    from kdkit import Trainer

    monkeypatch.setattr(Trainer, "fit", lambda self: torch.rand(3))
    drawn = run(tmp_path, seed=5, before_training=lambda: torch.rand(7))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(5)))


def test_a_folder_is_looked_at_before_data_and_network_are_there(run, tmp_path):
    run(tmp_path)
    settings = FitSettings(**SETTINGS)
    check_run_folder(tmp_path, settings, {})
    # What has no effect on what is learned may differ.
    check_run_folder(tmp_path, FitSettings(**{**SETTINGS, "workers": 2, "tensorboard": True}), {})
    with pytest.raises(RunFolderError, match=r"differs in config\.seed "):
        check_run_folder(tmp_path, FitSettings(**SETTINGS, seed=1), {})
    with pytest.raises(RunFolderError, match=r"differs in config\.recipe "):
        check_run_folder(tmp_path, settings, {"recipe": "fpd"})


def test_performance_max_trains_as_the_default_but_for_rounding_and_is_another_run(run, straight, tmp_path):
    run(tmp_path, performance="max")
    (student, metadata), lines, _ = outcome(tmp_path)
    (plain, plain_metadata), plain_lines, _ = straight
    assert student.keys() == plain.keys()
    assert metadata.keys() == plain_metadata.keys()
    # What differs by rounding at first differs more with every step; by how much depends on the processor.
    for epoch, (line, expected) in enumerate(zip(lines, plain_lines, strict=True)):
        tolerance = 0.05 if epoch else 5e-3
        assert line["loss/total"] == pytest.approx(expected["loss/total"], rel=tolerance)
    trained = json.loads((tmp_path / "config.json").read_text())
    assert trained["config"]["performance"] == "max"
    assert trained["trainer"]["performance"]["channels_last"]
    with pytest.raises(RunFolderError, match=r"config\.performance"):
        run(tmp_path)


def test_a_default_runs_settings_are_those_of_before_there_was_a_performance():
    config = FitSettings().to_config()
    assert config["precision"] == "no"
    assert "performance" not in config
    assert FitSettings(performance="max").to_config()["precision"] is None
    assert FitSettings(performance="max", precision="fp16").to_config()["precision"] == "fp16"


def test_probabilities_are_learned_by_bce_and_their_file_says_what_they_are(run, small_network, tmp_path):
    curriculum = recipes.supervised(until=5)
    network = small_network(activation="sigmoid")
    options = {"learning_rate": 1e-2, "schedule": "constant", "evaluate_every": 5}
    result = run(tmp_path / "run", network=network, curriculum=curriculum, **options)
    first, *_, last = outcome(tmp_path / "run")[1]
    assert last["loss/supervise/heatmap"] < first["loss/supervise/heatmap"]
    loaded, image = models.load(result.student).eval(), torch.zeros(1, 3, 32, 32)
    assert loaded.activation == "sigmoid"
    assert torch.equal(loaded(image), network.eval()(image))
    assert loaded(image).min() > 0


@pytest.mark.parametrize(
    ("activation", "loss", "words"),
    [
        ("none", losses.bce, "'supervise/heatmap' learns by bce, which takes probabilities.*activation='sigmoid'"),
        ("none", partial(losses.bce), "learns by bce, which takes probabilities"),
        ("sigmoid", losses.bce_with_logits, "bce_with_logits, which takes logits.*loss=losses.bce"),
        (
            "none",
            losses.bce_with_logits,
            "bce_with_logits, which takes logits.*activation='sigmoid'.*loss=losses.bce",
        ),
    ],
)
def test_a_loss_of_probabilities_needs_some(run, small_network, tmp_path, activation, loss, words):
    curriculum = recipes.supervised(until=2, binarized=True, loss=loss)
    with pytest.raises(ConfigurationError, match=words):
        run(tmp_path / "run", network=small_network(activation=activation), curriculum=curriculum)
    assert not (tmp_path / "run").exists()


def test_teachers_that_are_learned_from_as_they_are_must_give_probabilities_too(run, small_network, tmp_path):
    squares, discs = (
        MaskAwareTeacher(activation, small_network(activation=activation)) for activation in ("none", "sigmoid")
    )
    with pytest.raises(
        ConfigurationError, match=r"'distill/none/heatmap' learns probab.*--binarize both.*Truncate"
    ):
        run(tmp_path / "run", curriculum=recipes.primary_only(squares, until=1, binarized="truth"))
    assert not (tmp_path / "run").exists()
    run(tmp_path / "discs", curriculum=recipes.primary_only(discs, until=1, binarized="truth"))
    run(tmp_path / "binarized", curriculum=recipes.primary_only(squares, until=1))
    quiet = recipes.primary_only(squares, until=1, binarized="truth", alpha=0.0)
    run(tmp_path / "quiet", curriculum=quiet)
    cut = TransformedTeacher(squares, outputs={"heatmap": Truncate(0.0)})
    run(tmp_path / "cut", curriculum=recipes.primary_only(cut, until=1, binarized="truth"))
    moved = TransformedTeacher(squares, outputs={"heatmap": Standardize([0.5] * 17, [1.0] * 17)})
    with pytest.raises(BatchError, match="takes targets in"):
        run(tmp_path / "moved", curriculum=recipes.primary_only(moved, until=1, binarized="truth"))


def test_its_config_says_who_was_left_out(run, tmp_path):
    run(tmp_path)
    notes = json.loads((tmp_path / "config.json").read_text())["notes"]
    assert notes["left_out"].keys() == {"train", "val"}
