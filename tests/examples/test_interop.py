"""The same distillation in three loops: each gives what the plain one gives, and what never stopping gives."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

import kdkit as kd

FOLDER = Path(__file__).parents[2] / "examples" / "interop"
PACKAGES = {"plain_loop": "torch", "lightning_module": "lightning", "hf_trainer": "transformers"}
ON_CPU = {
    "plain_loop": {"device": "cpu"},
    "lightning_module": {"accelerator": "cpu"},
    "hf_trainer": {"use_cpu": True},
}
QUIET = {
    "plain_loop": {},
    "lightning_module": {"enable_progress_bar": False, "enable_model_summary": False},
    "hf_trainer": {"disable_tqdm": True},
}
STEPS = 6  # of an epoch: 48 pictures, 8 a batch

pytestmark = [
    # Lightning asks torch in a way of old what its loaders are made of.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),
    # The folder that a run goes on in is not empty, and the recipe's sampler makes up for the loader.
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before:UserWarning"),
]

every_way = pytest.mark.parametrize("way", PACKAGES)
other_ways = pytest.mark.parametrize("way", [name for name in PACKAGES if name != "plain_loop"])


class Stopped(Exception):
    """Stands for the power cut."""


@dataclass
class Run:
    """What a run showed at every batch, and where it ended."""

    steps: list[int] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)  # what the stage has seen of the validation
    student: dict[str, Tensor] = field(default_factory=dict)

    def after(self, step: int) -> "Run":
        first = self.steps.index(step)
        seen = self.stages[first:], self.losses[first:], self.errors[first:]
        return Run(self.steps[first:], *seen, self.student)


class Recorded(kd.Distiller):
    """Writes down what it gives, and fails at a given step."""

    run: Run
    fails_at: int | None = None

    def __call__(self, batch: kd.Batch) -> kd.StepLosses:
        if self.curriculum.steps == self.fails_at:
            raise Stopped
        step = super().__call__(batch)
        self.run.steps.append(self.curriculum.steps)
        self.run.stages.append(self.stage.name)
        self.run.errors.append([metrics["val/error"] for metrics in self.curriculum.progress.history])
        self.run.losses.append({"total": step.total.item(), **{name: x.item() for name, x in step.parts.items()}})
        return step


def recipe(way: str) -> ModuleType:
    pytest.importorskip(PACKAGES[way], reason=f"the recipe {way}.py is for {PACKAGES[way]}, which is optional")
    return importlib.import_module(way)


@pytest.fixture(scope="module", autouse=True)
def task() -> Iterator[ModuleType]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny tensors are faster without threads
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("task")
        for name in ("task", *PACKAGES):
            sys.modules.pop(name, None)
    torch.set_num_threads(threads)


Build = Callable[..., Recorded]


@pytest.fixture
def build(task: ModuleType) -> Build:
    def make(first: kd.Condition, second: kd.Condition, fails_at: int | None = None) -> Recorded:
        parts = task.distiller(first, second)
        distiller = Recorded(parts.student, parts.curriculum)
        distiller.run, distiller.fails_at = Run(), fails_at
        return distiller

    return make


def fit(way: str, distiller: Recorded, out: Path, **settings: object) -> Run:
    recipe(way).fit(distiller, out, **ON_CPU[way], **QUIET[way], **settings)
    distiller.run.student = {name: x.clone() for name, x in distiller.student.module.state_dict().items()}
    return distiller.run


def assert_same(run: Run, expected: Run) -> None:
    assert run.steps == expected.steps
    assert run.stages == expected.stages
    assert run.losses == expected.losses  # to the last bit
    for found, wanted in zip(run.errors, expected.errors, strict=True):
        assert found == pytest.approx(wanted, rel=1e-6)  # Lightning's mean over batches is rounded otherwise
    assert run.student.keys() == expected.student.keys()
    for name, value in expected.student.items():
        assert torch.equal(run.student[name], value), name


CURRICULA = {
    "epochs": (kd.Epochs(2), kd.Epochs(2)),
    "steps inside epochs": (kd.Steps(8), kd.Steps(8)),
    # The error is small from the fourth epoch on: the validation ends the stage, not the length.
    "validation": (kd.Epochs(2), kd.Epochs(20) | kd.Plateau("val/error", patience=1, mode="min")),
}
every_curriculum = pytest.mark.parametrize("conditions", CURRICULA.values(), ids=list(CURRICULA))


@every_curriculum
@other_ways
def test_a_framework_gives_what_the_plain_loop_gives(way, conditions, build, tmp_path):
    plain = fit("plain_loop", build(*conditions), tmp_path / "plain")
    assert set(plain.stages) == {"primary", "senior"}
    assert len(plain.steps) < 20 * STEPS
    assert_same(fit(way, build(*conditions), tmp_path / "other"), plain)


@every_way
def test_the_stage_changes_at_its_step(way, build, tmp_path):
    run = fit(way, build(kd.Steps(8), kd.Steps(5)), tmp_path)
    assert run.steps == list(range(13))
    assert run.stages == ["primary"] * 8 + ["senior"] * 5


@every_curriculum
def test_the_trainer_gives_what_the_plain_loop_gives(conditions, build, task, tmp_path):
    plain = fit("plain_loop", build(*conditions), tmp_path / "plain")
    distiller = build(*conditions)
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=1e-2)
    trainer = kd.Trainer(
        distiller,
        task.loader(train=True),
        optimizer=adam,
        evaluate=task.evaluate,
        mode="min",
        out=tmp_path / "trainer",
        cpu=True,
        progress=False,
    )
    trainer.fit()
    distiller.run.student = dict(distiller.student.module.state_dict())
    assert_same(distiller.run, plain)


@pytest.mark.parametrize(
    ("save_every", "fails_at", "goes_on_from"),
    [
        pytest.param(4, 11, 8, id="inside an epoch"),
        pytest.param(5, 22, 20, id="inside an epoch of the second stage"),
        pytest.param(6, 8, 6, id="at an epoch's end"),
        pytest.param(4, 14, 12, id="at a stage's end"),
    ],
)
@every_way
def test_going_on_gives_what_never_stopping_gives(way, save_every, fails_at, goes_on_from, build, tmp_path):
    conditions = CURRICULA["validation"]
    whole = fit(way, build(*conditions), tmp_path / "whole", save_every=save_every)
    with pytest.raises(Stopped):
        fit(way, build(*conditions, fails_at=fails_at), tmp_path / "broken", save_every=save_every)
    rest = fit(way, build(*conditions), tmp_path / "broken", save_every=save_every)
    assert_same(rest, whole.after(goes_on_from))


def test_lightning_goes_on_from_a_checkpoint_between_validation_and_the_epochs_end(build, tmp_path):
    recipe("lightning_module")
    from lightning.pytorch.callbacks import ModelCheckpoint

    # The default saves when the validation has ended, which Lightning ends once more after the start.
    def saving() -> list[ModelCheckpoint]:
        return [ModelCheckpoint(tmp_path / "broken", save_last=True, enable_version_counter=False)]

    conditions = CURRICULA["validation"]
    whole = fit("lightning_module", build(*conditions), tmp_path / "whole")
    last = whole.steps[-1] + 1
    with pytest.raises(Stopped):
        fit("lightning_module", build(*conditions, last - 4), tmp_path / "broken", callbacks=saving())
    rest = fit("lightning_module", build(*conditions), tmp_path / "broken", callbacks=saving())
    assert_same(rest, whole.after(last - STEPS))


def test_an_epoch_that_lightning_does_not_validate_adds_no_metrics(build, tmp_path):
    conditions = kd.Epochs(1), kd.Epochs(6) | kd.Plateau("val/error", patience=9, mode="min")
    run = fit("lightning_module", build(*conditions), tmp_path, check_val_every_n_epoch=2)
    assert run.steps[-1] == 7 * STEPS - 1
    assert len(run.errors[-1]) == 3  # after the epochs 2, 4 and 6


def test_lightning_takes_one_device_of_several(build, tmp_path, monkeypatch):
    module = recipe("lightning_module")
    import lightning

    monkeypatch.setattr(lightning.pytorch.accelerators.CPUAccelerator, "auto_device_count", lambda *_: 2)
    seen = []
    monkeypatch.setattr(lightning.Trainer, "fit", lambda trainer, *_, **__: seen.append(trainer.num_devices))
    module.fit(build(kd.Epochs(1), kd.Epochs(1)), tmp_path, accelerator="cpu")
    assert seen == [1]


class Elsewhere(torch.nn.Module):
    """A network on another device, which notes where its input is; there are no values there to go on with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, device="meta"))

    def forward(self, image: Tensor) -> Tensor:
        assert image.device == self.weight.device
        raise Stopped


def test_a_network_is_evaluated_on_the_device_that_it_is_on(task):
    with pytest.raises(Stopped):
        task.evaluate(Elsewhere())


def test_the_plain_loop_computes_on_the_device_that_it_is_told(build, tmp_path, monkeypatch):
    seen = []

    def look(distiller: Recorded, batch: kd.Batch) -> kd.StepLosses:
        places = [batch.values(), distiller.student.parameters(), distiller.teachers[0].parameters()]
        seen.extend({value.device.type for value in place} for place in places)
        raise Stopped

    monkeypatch.setattr(Recorded, "__call__", look)
    with pytest.raises(Stopped):
        recipe("plain_loop").fit(build(kd.Epochs(1), kd.Epochs(1)), tmp_path, device="meta")
    assert seen == [{"meta"}] * 3


@every_way
def test_a_finished_run_that_is_started_again_takes_no_step(way, build, tmp_path):
    run = fit(way, build(kd.Epochs(1), kd.Steps(4)), tmp_path, save_every=5)
    again = fit(way, build(kd.Epochs(1), kd.Steps(4)), tmp_path, save_every=5)
    assert_same(again, Run(student=run.student))


@pytest.mark.parametrize("conditions", [CURRICULA["epochs"], CURRICULA["steps inside epochs"]])
def test_accumulated_batches_are_one_step_in_every_framework(conditions, build, task, tmp_path):
    runs = [
        fit("lightning_module", build(*conditions), tmp_path / "lightning", accumulate_grad_batches=2),
        fit("hf_trainer", build(*conditions), tmp_path / "hf", gradient_accumulation_steps=2),
    ]
    distiller = build(*conditions)
    torch.manual_seed(0)
    kd.Trainer(
        distiller,
        task.loader(train=True),
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        accumulate=2,
        out=tmp_path / "trainer",
        cpu=True,
        progress=False,
    ).fit()
    expected = distiller.run
    assert expected.steps == [step for step in range(expected.steps[-1] + 1) for _ in range(2)]
    for run in runs:
        assert (run.steps, run.stages) == (expected.steps, expected.stages)
        for found, wanted in zip(run.losses, expected.losses, strict=True):
            assert found == pytest.approx(wanted, rel=1e-5)


@every_way
def test_teachers_stay_as_they_were(way, build, tmp_path):
    distiller = build(kd.Epochs(1), kd.Epochs(1))
    networks = {teacher.name: teacher.module for teacher in distiller.teachers}
    before = {name: {key: x.clone() for key, x in net.state_dict().items()} for name, net in networks.items()}
    fit(way, distiller, tmp_path)
    assert set(networks) == {"primary", "senior"}
    for name, network in networks.items():
        assert any("running_mean" in key for key in before[name])
        assert all(torch.equal(x, before[name][key]) for key, x in network.state_dict().items())
        assert not any(module.training for module in network.modules())
        assert all(x.grad is None and not x.requires_grad for x in network.parameters())


def test_a_lightning_module_holds_and_saves_no_teacher(build, task, tmp_path):
    distiller = build(kd.Epochs(1), kd.Epochs(1))
    module = recipe("lightning_module").Distillation(distiller, task.loader(train=True))
    student = {f"student.{name}" for name in distiller.student.state_dict()}
    assert set(module.state_dict()) == student
    assert [id(x) for x in module.parameters()] == [id(x) for x in distiller.student.parameters()]
    fit("lightning_module", distiller, tmp_path)
    assert set(torch.load(tmp_path / "last.ckpt")["state_dict"]) == student


@every_way
def test_the_file_is_of_the_bare_student(way, build, task, tmp_path):
    run = fit(way, build(kd.Epochs(1), kd.Epochs(1)), tmp_path)
    if way == "hf_trainer":
        from safetensors.torch import load_file

        state = load_file(tmp_path / "student.safetensors")
    else:
        state = torch.load(tmp_path / "student.pth")
    task.Network(3, 8, seed=9).load_state_dict(state)
    assert all(torch.equal(state[name], value) for name, value in run.student.items())


@every_way
def test_a_recipe_runs_as_a_script(way, tmp_path):
    recipe(way)
    command = [sys.executable, str(FOLDER / f"{way}.py"), "--epochs", "1", "--out", str(tmp_path / "out")]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert f"{2 * STEPS} steps, {{'val/error': " in run.stdout
