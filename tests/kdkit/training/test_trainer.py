import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounter
from torch.utils.data import DataLoader

from kdkit import (
    Adaptor,
    CheckpointError,
    ConfigurationError,
    Curriculum,
    Distiller,
    Epochs,
    Linear,
    NonFiniteLossError,
    Plateau,
    RunEpochs,
    RunFolderError,
    Stage,
    Step,
    Steps,
    Student,
    Supervise,
    Trainer,
    losses,
)
from kdkit.training.checkpoint import load_checkpoint, save_checkpoint

from .interruption import Fragile, Interrupted


def evaluate(network) -> dict[str, float]:
    assert not network.training
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        return {"val/error": float(network(torch.randn(2, 3, 8, 6, generator=generator)).square().mean())}


def trainer(toy, out, *, loader=None, distiller=None, **options) -> Trainer:
    torch.manual_seed(7)
    defaults = {
        "optimizer": partial(torch.optim.Adam, lr=1e-2),
        "evaluate": evaluate,
        "mode": "min",
        "progress": False,
        "cpu": True,
    }
    distiller = distiller or toy.distiller(learning_rate=Linear(1e-2, 1e-3), optimizer="fresh")
    return Trainer(distiller, toy.loader() if loader is None else loader, out=out, **{**defaults, **options})


def outcome(folder) -> tuple[dict, dict, list]:
    last = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds")
    return last["network"], last["optimizer"]["state"], lines


def assert_same(one, other) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


VARIANTS = {
    "plain": {},
    "steps": {"checkpoint_steps": 1},
    "accumulate": {"checkpoint_steps": 1, "accumulate": 2},
    "ema": {"checkpoint_steps": 2, "ema": 0.9, "clip_norm": 0.5},
    "bf16": {"checkpoint_steps": 1, "precision": "bf16"},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("crash_at", [1, 2, 4, 7, 8, 11])
def test_resumed_equals_never_stopped_to_the_bit(toy, tmp_path, options, crash_at):
    """Twelve batches in four epochs and two stages, with dropout and BatchNorm."""
    trainer(toy, tmp_path / "straight", **options).fit()
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "resumed", loader=Fragile(toy.loader(), crash_at), **options).fit()
    torch.manual_seed(12345)
    torch.rand(3)
    trainer(toy, tmp_path / "resumed", **options).fit()
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_is_exact_with_a_plain_shuffled_loader(toy, tmp_path, workers):
    """Order and randomness from the global generators, which the run's checkpoint holds."""

    def loader():
        return DataLoader(toy.pictures(), batch_size=4, shuffle=True, num_workers=workers)

    trainer(toy, tmp_path / "straight", loader=loader(), checkpoint_steps=1).fit()
    crashing = Fragile(loader(), 5)
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "resumed", loader=crashing, checkpoint_steps=1).fit()
    trainer(toy, tmp_path / "resumed", loader=loader(), checkpoint_steps=1).fit()
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


def test_a_wrong_resume_would_be_noticed(toy, tmp_path):
    """The comparison itself can fail: another order of batches gives other weights."""
    trainer(toy, tmp_path / "a").fit()
    other = toy.loader()
    other.sampler.seed = 4
    trainer(toy, tmp_path / "b", loader=other).fit()
    with pytest.raises(AssertionError):
        assert_same(outcome(tmp_path / "a"), outcome(tmp_path / "b"))


def test_a_stage_that_ends_inside_an_epoch_resumes_too(toy, tmp_path):
    def distiller():
        objectives = [Supervise("heatmap", losses.mse, weight=Linear(1.0, 0.5))]
        return Distiller(
            toy.student(),
            Curriculum(Stage("a", objectives, Steps(4)), Stage("b", objectives, Steps(6), optimizer="fresh")),
        )

    options = {"checkpoint_steps": 1}
    result = trainer(toy, tmp_path / "straight", distiller=distiller(), **options).fit()
    assert result.steps == 10
    for crash_at in (3, 4, 5, 9):
        out = tmp_path / str(crash_at)
        crashing = trainer(toy, out, loader=Fragile(toy.loader(), crash_at), distiller=distiller(), **options)
        with pytest.raises(Interrupted):
            crashing.fit()
        trainer(toy, out, distiller=distiller(), **options).fit()
        assert_same(outcome(tmp_path / "straight"), outcome(out))


def test_a_crash_in_the_evaluation_resumes_behind_a_last_batch_that_is_not_full(toy, tmp_path):
    def crash(network):
        raise Interrupted

    options = {"checkpoint_steps": 1}
    trainer(toy, tmp_path / "straight", loader=toy.loader(size=10), **options).fit()
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "resumed", loader=toy.loader(size=10), evaluate=crash, **options).fit()
    trainer(toy, tmp_path / "resumed", loader=toy.loader(size=10), **options).fit()
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


def test_a_crash_between_an_epochs_line_and_its_checkpoint_leaves_no_line_twice(toy, tmp_path):
    options = {"checkpoint_steps": 1}
    trainer(toy, tmp_path / "straight", **options).fit()
    crashing = trainer(toy, tmp_path / "resumed", **options)
    append = crashing.folder.append_metrics

    def append_and_crash(line):
        append(line)
        raise Interrupted

    crashing.folder.append_metrics = append_and_crash
    with pytest.raises(Interrupted):
        crashing.fit()
    trainer(toy, tmp_path / "resumed", **options).fit()
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


def test_the_students_file_loads_into_the_bare_network_with_plain_torch(toy, tmp_path):
    distiller = toy.distiller()
    student = Student(
        distiller.student.module,
        "image",
        "heatmap",
        adaptors={"wide": Adaptor("heatmap", torch.nn.Conv2d(5, 9, 1))},
    )
    distiller = Distiller(student, toy.curriculum())
    result = trainer(toy, tmp_path, distiller=distiller, export="last").fit()
    network = toy.network(width=4, seed=99)
    network.load_state_dict(load_file(result.student), strict=True)
    assert_same(dict(network.state_dict()), dict(student.module.state_dict()))
    bare = toy.network(width=4, seed=98)
    bare.load_state_dict(torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["network"])
    assert_same(dict(bare.state_dict()), dict(student.module.state_dict()))


def test_the_network_is_left_in_eval_mode(toy, tmp_path):
    distiller = toy.distiller()
    trainer(toy, tmp_path, distiller=distiller).fit()
    assert not any(module.training for module in distiller.student.modules())


def test_best_and_last(toy, tmp_path):
    errors = iter([0.5, 0.2, 0.4, 0.3])
    result = trainer(toy, tmp_path, evaluate=lambda network: {"val/error": next(errors)}).fit()
    assert result.best == 0.2
    assert result.metrics == {"val/error": 0.3}
    best = torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)
    assert best["distiller"]["curriculum"]["epochs"] == 2
    assert_same(load_file(result.student), dict(best["network"]))


def test_a_loader_with_a_generator_of_its_own_goes_on_between_two_epochs(toy, tmp_path):
    def run(out, crash_at=None):
        own, calls = torch.Generator().manual_seed(3), []

        def watched(network):
            calls.append(network)
            if len(calls) == crash_at:
                raise Interrupted
            return evaluate(network)

        loader = DataLoader(toy.pictures(12), 4, shuffle=True, generator=own)
        return trainer(toy, out, loader=loader, evaluate=watched, export="last").fit()

    whole = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", crash_at=3)
    assert_same(load_file(whole.student), load_file(run(tmp_path / "stopped").student))


def test_an_evaluation_needs_no_gradients(toy, tmp_path):
    seen = []

    def evaluate(network):
        seen.append((network.training, torch.is_grad_enabled()))
        return {"val/error": 0.0}

    trainer(toy, tmp_path, evaluate=evaluate).fit()
    assert set(seen) == {(False, False)}
    assert torch.is_grad_enabled()


def test_ema_is_what_is_evaluated_and_exported(toy, tmp_path):
    seen = []
    instance = trainer(
        toy,
        tmp_path,
        ema=0.5,
        export="last",
        evaluate=lambda network: seen.append(network[0].weight.clone()) or {"val/error": 1.0},
    )
    result = instance.fit()
    exported = load_file(result.student)["0.weight"]
    assert torch.equal(exported, seen[-1])
    assert not torch.equal(exported, instance.distiller.student.module[0].weight)


def test_ema_equals_its_definition(toy, tmp_path):
    distiller = Distiller(toy.student(), Curriculum(Stage("a", [Supervise("heatmap", losses.mse)], Steps(3))))
    weights = []
    advance = distiller.advance

    def watched():
        weights.append(distiller.student.module[0].weight.detach().clone())
        advance()

    distiller.advance = watched
    result = trainer(toy, tmp_path, distiller=distiller, ema=0.9, export="last").fit()
    expected = weights[0]
    for weight in weights[1:]:
        expected = 0.9 * expected + 0.1 * weight
    torch.testing.assert_close(load_file(result.student)["0.weight"], expected)


def test_accumulation_equals_the_large_batch(toy, tmp_path):
    """Without dropout and BatchNorm, whose results depend on the batch."""

    def distiller():
        torch.manual_seed(1)
        student = Student(torch.nn.Conv2d(3, 5, 3, padding=1), "image", "heatmap")
        stage = Stage("a", [Supervise("heatmap", losses.mse)], Epochs(2))
        return Distiller(student, Curriculum(stage))

    states = []
    for name, batch_size, accumulate in (("small", 2, 4), ("large", 8, 1)):
        loader = toy.loader(size=20, batch_size=batch_size)
        options = {"optimizer": partial(torch.optim.SGD, lr=0.5), "accumulate": accumulate, "export": "last"}
        result = trainer(toy, tmp_path / name, loader=loader, distiller=distiller(), **options).fit()
        assert result.steps == 6
        states.append(load_file(result.student))
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name])


def test_learning_rate_follows_stage_and_warmup(toy, tmp_path):
    objectives = [Supervise("heatmap", losses.mse)]
    curriculum = Curriculum(
        Stage("own", objectives, Steps(2)),
        Stage("warm", objectives, Steps(4), learning_rate=1e-3, warmup_steps=2),
        Stage("steps", objectives, Steps(4), learning_rate=Step(1e-3, {0.5: 1e-4})),
    )
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    distiller = Distiller(toy.student(), curriculum)
    groups = [
        {"params": distiller.student.module[0].parameters(), "lr": 1e-2},
        {"params": distiller.student.module[4].parameters(), "lr": 2e-2},
    ]
    trainer(toy, tmp_path, distiller=distiller, optimizer=Watched(groups)).fit()
    first = [rate[0] for rate in rates]
    assert first == pytest.approx([1e-2, 1e-2, 5e-4, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4])
    assert all(rate[1] == pytest.approx(2 * rate[0]) for rate in rates)


def test_fresh_optimizer_forgets_and_kept_one_does_not(toy, tmp_path):
    for choice, steps in (("fresh", 3.0), ("keep", 6.0)):
        toy.stages = (1, 1)
        trainer(toy, tmp_path / choice, distiller=toy.distiller(optimizer=choice)).fit()
        _, state, _ = outcome(tmp_path / choice)
        assert float(state[0]["step"]) == steps


def test_a_plateau_switches_the_stage(toy, tmp_path):
    objectives = [Supervise("heatmap", losses.mse)]
    curriculum = Curriculum(
        Stage("a", objectives, Plateau("AP", patience=2) | Epochs(50)), Stage("b", objectives, Epochs(1))
    )
    scores = iter([0.1, 0.2, 0.2, 0.15, 0.3])
    distiller = Distiller(toy.student(), curriculum)
    trainer(toy, tmp_path, distiller=distiller, evaluate=lambda _: {"AP": next(scores)}, mode="max").fit()
    stages = [line["stage"] for line in outcome(tmp_path)[2]]
    assert stages == ["a", "a", "a", "a", "b"]


def test_a_run_takes_its_epochs_however_early_a_stage_ends(toy, tmp_path):
    """And its rate falls as if there were one stage, also where it is gone on with."""

    def distiller(*conditions):
        objectives, rate = [Supervise("heatmap", losses.mse)], Linear(1e-2, 1e-3, over="run")
        stages = (Stage(str(n), objectives, until, learning_rate=rate) for n, until in enumerate(conditions))
        return Distiller(toy.student(), Curriculum(*stages))

    def train(name, *conditions, **options):
        falls_not = {"evaluate": lambda network: {"val/error": 1.0}}
        trained = trainer(toy, tmp_path / name, distiller=distiller(*conditions), **falls_not, **options)
        return trained.fit().steps

    early = (Epochs(4) | Plateau("val/error", 1, mode="min"), RunEpochs(5))
    assert train("one", Epochs(5)) == train("early", *early) == 15
    one, straight = outcome(tmp_path / "one")[2], outcome(tmp_path / "early")[2]
    assert [line["stage"] for line in straight] == ["0", "0", "1", "1", "1"]
    assert [line["learning_rate"] for line in straight] == [line["learning_rate"] for line in one]
    for crash_at in (5, 8):
        with pytest.raises(Interrupted):
            train("resumed", *early, checkpoint_steps=1, loader=Fragile(toy.loader(), crash_at))
    train("resumed", *early, checkpoint_steps=1)
    assert_same(outcome(tmp_path / "early"), outcome(tmp_path / "resumed"))


def test_evaluates_every_n_epochs_and_at_the_end(toy, tmp_path):
    toy.stages = (2, 3)
    trainer(toy, tmp_path, evaluate_every=2).fit()
    lines = outcome(tmp_path)[2]
    assert [line["epoch"] for line in lines if "val/error" in line] == [2, 4, 5]
    assert all("loss/total" in line for line in lines)


def test_nan_stops_with_term_and_samples_and_keeps_the_last_good_checkpoint(toy, tmp_path):
    class Spoiled(type(toy.pictures())):
        spoil = False

        def __getitem__(self, key):
            sample = super().__getitem__(key)
            if key == (5, 1):  # the sample 5 in the second epoch
                sample["heatmap"][0, 0, 0] = float("nan")
                sample["visible"][:] = 1
            return sample

    loader = DataLoader(Spoiled(), 4, sampler=toy.loader().sampler)
    instance = trainer(toy, tmp_path, loader=loader)
    with pytest.raises(NonFiniteLossError, match=r"step [456] in supervise/heatmap, sample ids \[1005\]"):
        instance.fit()
    last = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert last["distiller"]["curriculum"]["epochs"] == 1
    assert all(value.isfinite().all() for value in last["network"].values())
    # On the CPU it is noticed before the step, so the student at hand is sound too.
    assert all(value.isfinite().all() for value in instance.distiller.student.parameters())


def distance(prediction, target):
    """A root, whose gradient at 0 is none."""
    return (prediction - target).square().sum(1, keepdim=True).sqrt()


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}, {"ema": 0.9}])
def test_weights_that_are_not_finite_are_never_saved(toy, tmp_path, options):
    network = torch.nn.Conv2d(3, 5, 1)
    torch.nn.init.zeros_(network.weight)
    torch.nn.init.zeros_(network.bias)

    def batches(step):
        maps = torch.ones(2, 5, 8, 6) if step != 3 else torch.zeros(2, 5, 8, 6)
        # In the last step of the first epoch the loss is 0, of a student that is still zero where it looks.
        return {"image": torch.zeros(2, 3, 8, 6), "heatmap": maps, "id": torch.arange(2)}

    stage = Stage("only", [Supervise("heatmap", distance)], until=Epochs(2), freeze=("bias",))
    distiller = Distiller(Student(network), Curriculum(stage))
    instance = trainer(toy, tmp_path, loader=[batches(step) for step in range(4)], distiller=distiller, **options)
    with pytest.raises(NonFiniteLossError, match="the student's weights became NaN or infinite at step 4"):
        instance.fit()
    assert not list((tmp_path / "checkpoints").glob("*.pt"))
    assert not (tmp_path / "student.safetensors").exists()


def test_a_step_after_one_without_a_gradient_does_not_name_its_samples(toy, tmp_path):
    network = torch.nn.Conv2d(3, 5, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    met = {"image": torch.zeros(2, 3, 8, 6), "heatmap": torch.zeros(2, 5, 8, 6), "id": torch.arange(2)}
    distiller = Distiller(
        Student(network), Curriculum(Stage("only", [Supervise("heatmap", distance)], until=Epochs(1)))
    )
    with pytest.raises(NonFiniteLossError, match="weights became NaN or infinite at step 1 or shortly before"):
        trainer(toy, tmp_path, loader=[met, met, met], distiller=distiller).fit()


def test_a_run_s_precision_ends_with_it(toy, tmp_path):
    student = toy.student()
    attributes = set(vars(student))
    seen = []

    def curriculum():
        return Curriculum(Stage("only", [Supervise("heatmap", losses.mse)], until=Epochs(1)))

    trainer(toy, tmp_path / "half", distiller=Distiller(student, curriculum()), precision="bf16").fit()
    assert set(vars(student)) == attributes
    student.module[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    trainer(toy, tmp_path / "whole", distiller=Distiller(student, curriculum()), precision="no").fit()
    assert set(seen) == {torch.float32}


def test_an_optimizer_of_another_network_is_refused(toy, tmp_path):
    other = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(ConfigurationError, match="holds none of the student's parameters"):
        trainer(toy, tmp_path, optimizer=other)


def test_another_runs_folder_is_refused_and_left_alone(toy, tmp_path):
    trainer(toy, tmp_path).fit()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=r"differs in trainer\.clip_norm .*there null, now 1\.0"):
        trainer(toy, tmp_path, clip_norm=1.0).fit()
    with pytest.raises(RunFolderError, match=r"differs in config\.seed"):
        trainer(toy, tmp_path, config={"seed": 1}).fit()
    with pytest.raises(RunFolderError, match="holds a run already"):
        trainer(toy, tmp_path).fit(resume="never")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_what_differs_in_a_long_description_is_shown(toy, tmp_path):
    def stage(weight: float) -> Distiller:
        long = Supervise("heatmap", losses.mse, name="n" * 200, weight=weight)
        return Distiller(toy.student(), Curriculum(Stage("a", [long], Epochs(1))))

    trainer(toy, tmp_path, distiller=stage(1.0)).fit()
    words = r"curriculum\[0\]\.objectives\[0\].*there .*value=1\.0.*now .*value=0\.7"
    with pytest.raises(RunFolderError, match=words):
        trainer(toy, tmp_path, distiller=stage(0.7)).fit()


def test_a_run_is_not_gone_on_with_by_another_teacher_or_loader_or_mode(toy, tmp_path):
    trainer(toy, tmp_path).fit()
    other = toy.distiller(learning_rate=Linear(1e-2, 1e-3), optimizer="fresh")
    with torch.no_grad():
        next(iter(other.teachers[0].parameters())).add_(1e-6)
    with pytest.raises(RunFolderError, match=r"differs in teacher_weights\.primary\[0\] "):
        trainer(toy, tmp_path, distiller=other).fit()
    with pytest.raises(RunFolderError, match=r"differs in trainer\.batches .*there 3, now 6"):
        trainer(toy, tmp_path, loader=toy.loader(batch_size=2)).fit()
    with pytest.raises(RunFolderError, match=r"differs in trainer\.mode"):
        trainer(toy, tmp_path, mode="max").fit()


@pytest.mark.parametrize("monitor", [None, "val/error"])
def test_a_stage_and_the_trainer_must_agree_which_way_is_better(toy, tmp_path, monitor):
    stage = Stage("a", [Supervise("heatmap", losses.mse)], Epochs(3) & Plateau("val/error", patience=1))
    words = "ends by 'val/error' with mode='max', and the Trainer monitors it with mode='min'"
    with pytest.raises(ConfigurationError, match=words):
        trainer(toy, tmp_path, distiller=Distiller(toy.student(), Curriculum(stage)), monitor=monitor).fit()


def test_an_evaluation_must_give_names(toy, tmp_path):
    with pytest.raises(ConfigurationError, match="evaluate returned a float: it must return metrics by name"):
        trainer(toy, tmp_path, evaluate=lambda network: 0.5).fit()


def test_a_run_that_failed_before_its_first_checkpoint_may_be_corrected(toy, tmp_path):
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path, loader=Fragile(toy.loader(), 1)).fit()
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    trainer(toy, tmp_path, clip_norm=1.0).fit()


def test_somebody_elses_files_are_refused(toy, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(RunFolderError, match=r"no readable config\.json"):
        trainer(toy, tmp_path).fit()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunFolderError, match="is a file"):
        trainer(toy, tmp_path / "file").fit()


def test_a_finished_run_is_not_run_again(toy, tmp_path):
    first = trainer(toy, tmp_path).fit()
    again = trainer(toy, tmp_path, evaluate=lambda network: pytest.fail("evaluated again")).fit()
    assert again == first


def test_a_damaged_checkpoint_is_named(toy, tmp_path):
    trainer(toy, tmp_path, keep=1).fit()
    last = tmp_path / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        trainer(toy, tmp_path).fit()


def test_a_whole_checkpoint_that_lacks_something_is_refused(toy, tmp_path):
    trainer(toy, tmp_path).fit()
    last = tmp_path / "checkpoints" / "last.pt"
    state = load_checkpoint(last)
    del state["losses"], state["scaler"]
    save_checkpoint(state, last)
    with pytest.raises(CheckpointError, match="lacks scaler, losses"):
        trainer(toy, tmp_path).fit()


def test_of_a_damaged_checkpoint_the_one_before_leads_to_the_same_student(toy, tmp_path, capfd):
    trainer(toy, tmp_path / "whole").fit()
    for run in ("ended", "stopped"):
        folder = tmp_path / run
        if run == "ended":
            trainer(toy, folder).fit()
        else:
            with pytest.raises(Interrupted):
                trainer(toy, folder, loader=Fragile(toy.loader(), 10), checkpoint_steps=2).fit()
        last = folder / "checkpoints" / "last.pt"
        last.write_bytes(last.read_bytes()[:-1])
        trainer(toy, folder, progress=True).fit()
        assert "'before-1.pt' is taken in its place" in capfd.readouterr().err
        assert str(outcome(folder)) == str(outcome(tmp_path / "whole"))
        students = [(place / "student.safetensors").read_bytes() for place in (folder, tmp_path / "whole")]
        assert students[0] == students[1]


def test_pickled_code_in_a_checkpoint_is_not_executed(toy, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    trainer(toy, tmp_path / "run", keep=1).fit()
    torch.save({"format": 1, "payload": Payload()}, tmp_path / "run" / "checkpoints" / "last.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        trainer(toy, tmp_path / "run").fit()
    assert not (tmp_path / "executed").exists()


def test_tensorboard(toy, tmp_path):
    trainer(toy, tmp_path, trackers=["tensorboard"], log_every=1).fit()
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_all_of_an_empty_or_misfit_setup_is_refused(toy, tmp_path):
    plateau = Curriculum(Stage("a", [Supervise("heatmap", losses.mse)], Plateau("AP", 2)))
    for options, words in [
        ({"distiller": Distiller(toy.student(), plateau), "evaluate": None}, "waits for"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"ema": 1.5}, "ema is 1.5"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"mode": "most"}, "mode 'most'"),
        ({"loader": DataLoader(toy.pictures(3), 4, drop_last=True)}, "loader is empty"),
        ({"trackers": "tensorboard"}, "list of names"),
        ({"optimizer": partial(torch.optim.SGD, lr=0.0)}, "learning rate is 0"),
    ]:
        with pytest.raises(ConfigurationError, match=words):
            trainer(toy, tmp_path, **options)
    with pytest.raises(ConfigurationError, match="monitor"):
        trainer(toy, tmp_path, monitor="val/AP").fit()
    assert not (tmp_path / "student.safetensors").exists()


def test_progress_shows_a_line_an_epoch(toy, tmp_path, capsys):
    trainer(toy, tmp_path, progress=True).fit()
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 4
    assert "stage senior" in lines[-1]
    assert "val/error" in lines[-1]


def test_what_goes_on_says_where_and_what_is_finished_says_so(toy, tmp_path, capsys):
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path, loader=Fragile(toy.loader(), 8), checkpoint_steps=1).fit()
    trainer(toy, tmp_path, progress=True, checkpoint_steps=1).fit()
    assert f"{tmp_path} goes on in epoch 3 after 2 batches, stage senior" in capsys.readouterr().err
    trainer(toy, tmp_path, progress=True, checkpoint_steps=1).fit()
    assert f"{tmp_path} is finished, after 4 epochs and 12 steps" in capsys.readouterr().err


def test_a_student_compiled_before_is_refused_and_after_is_compiled(toy, tmp_path):
    distiller = toy.distiller().compile(backend="eager")
    with pytest.raises(ConfigurationError, match="make the Trainer first"):
        trainer(toy, tmp_path, distiller=distiller)
    distiller = toy.distiller()
    made = trainer(toy, tmp_path, distiller=distiller)
    counter = CompileCounter()
    torch._dynamo.reset()
    distiller.compile(backend=counter)
    made.fit()
    assert counter.frame_count > 0


def test_names_are_not_read_as_markup(toy, tmp_path, capsys):
    stage = Stage("warm [/up]", [Supervise("heatmap", losses.mse, name="[b]")], Epochs(1))
    trainer(toy, tmp_path, distiller=Distiller(toy.student(), Curriculum(stage)), progress=True).fit()
    assert "warm [/up]" in (shown := capsys.readouterr().err)
    assert "[b]" in shown


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_an_epochs_line_is_the_same_if_the_run_stopped_between_its_last_step_and_its_end(toy, tmp_path, crash_at):
    """The second stage begins at the last step of an epoch, and the rate falls all the time."""

    def distiller() -> Distiller:
        objectives = [Supervise("heatmap", losses.mse)]
        first = Stage("one", objectives, Steps(6), learning_rate=Linear(1e-2, 1e-3))
        return Distiller(toy.student(), Curriculum(first, Stage("two", objectives, Steps(6), learning_rate=5e-3)))

    left = [crash_at]

    def failing(network) -> dict[str, float]:
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted
        return evaluate(network)

    trainer(toy, tmp_path / "straight", distiller=distiller(), checkpoint_steps=1).fit()
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "other", distiller=distiller(), checkpoint_steps=1, evaluate=failing).fit()
    trainer(toy, tmp_path / "other", distiller=distiller(), checkpoint_steps=1).fit()
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "other"))


class TestStep:
    def test_steps_by_hand_are_those_of_fit(self, toy, tmp_path):
        options = {"ema": 0.9, "clip_norm": 0.5, "accumulate": 2}
        fitted = trainer(toy, tmp_path / "fit", **options)
        fitted.fit()
        made = trainer(toy, tmp_path / "by_hand", **options)
        loader, curriculum = toy.loader(), made.distiller.curriculum
        curriculum.steps_per_epoch = 2
        for epoch in range(4):
            loader.sampler.set_epoch(epoch)
            made.distiller.student.train()
            first, second, third = loader
            made.step(first, second)
            made.step(third)
            entered = made.distiller.end_epoch()
            if entered is not None:  # as fit does where an epoch's end begins a stage
                made._enter(entered)
        assert_same(made.distiller.student.state_dict(), fitted.distiller.student.state_dict())

    def test_a_stage_that_it_begins_is_told_and_begins_fresh(self, toy, tmp_path):
        stages = [
            Stage("a", [Supervise("heatmap", losses.mse)], Steps(1)),
            Stage("b", [Supervise("heatmap", losses.mse)], Steps(2), optimizer="fresh"),
        ]
        made = trainer(toy, tmp_path, distiller=Distiller(toy.student(), Curriculum(*stages)))
        assert made.step(toy.batch()) is stages[1]
        assert not made._engine.state_dict()["optimizer"]["state"]
        assert made.step(toy.batch()) is None

    def test_no_batch_is_refused(self, toy, tmp_path):
        with pytest.raises(ConfigurationError, match="needs at least one batch"):
            trainer(toy, tmp_path).step()
