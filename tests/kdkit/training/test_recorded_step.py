"""A run whose steps are recorded and replayed is the run without, to the bit, and records no more than it must.

On the CPU a tape stands for the CUDA graph: it repeats operations, and nothing of the Python around them.
"""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from kdkit import (
    Adaptor,
    Agreement,
    Alternate,
    CachedTeacher,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EasyFirst,
    EMATeacher,
    EnsembleTeacher,
    Epochs,
    GradientNorm,
    Linear,
    Magnitude,
    ModuleTeacher,
    NonFiniteLossError,
    Performance,
    Stage,
    Steps,
    Student,
    Supervise,
    TargetCache,
    Teacher,
    Trainer,
    Uncertainty,
    build_cache,
    losses,
)
from kdkit.cache import CANONICAL, CanonicalTeacher, Dense
from kdkit.sampling import ViewSampler
from kdkit.training import tuning
from kdkit.training.host_random import host_random_state
from kdkit.training.recordable import teacher_fault

from .interruption import Fragile, Interrupted
from .tape import Tape, TapeRecorder

ADAM = partial(torch.optim.Adam, lr=1e-2)
EAGER, RECORDED = Performance(fused_optimizer=True), Performance(fused_optimizer=True, cuda_graph=True)


@pytest.fixture
def tape(monkeypatch) -> TapeRecorder:
    recorder = TapeRecorder()
    monkeypatch.setattr(tuning, "make_recorder", lambda device: recorder)
    return recorder


def loader(toy, samples: int = 24) -> DataLoader:
    """Batches of 5, and one that is smaller."""
    return DataLoader(toy.pictures(samples), 5, sampler=ViewSampler(samples, seed=3))


def trainer(distiller: Distiller, out: Path, batches, performance: Performance = RECORDED, **options) -> Trainer:
    torch.manual_seed(7)
    options = {"optimizer": ADAM, "cpu": True, "progress": False, **options}
    return Trainer(distiller, batches, out=out, performance=performance, **options)


def outcome(out: Path) -> tuple:
    last = torch.load(out / "checkpoints" / "last.pt", weights_only=True)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    kept = ("network", "student", "adaptors", "averaged", "distiller")
    return {name: last[name] for name in kept}, last["optimizer"]["state"], lines


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def truth(**options) -> Supervise:
    return Supervise("heatmap", losses.mse, region="visible", **options)


def ramps(toy) -> Distiller:
    """Weights that rise from 0, that fall to it, and that stay there."""
    primary, senior = toy.primary(), toy.senior()
    objectives = [
        truth(weight=Linear(1.0, 0.25)),
        Distill(primary, "heatmap", losses.mse, weight=Linear(0.0, 0.7), region="visible"),
        Distill(senior, "heatmap", losses.mse, weight=0),
    ]
    return Distiller(toy.student(), Curriculum(Stage("ramp", objectives, Epochs(4))))


def in_turn(toy) -> Distiller:
    """Two teachers, of which one is run at a step, and none at every third."""
    objectives = [
        truth(weight=0.5),
        Distill(toy.primary(), "heatmap", losses.mse, weight=Alternate((0.3, 0.0, 0.0))),
        Distill(toy.senior(), "heatmap", losses.mse, weight=Alternate((0.0, 0.9, 0.0))),
    ]
    return Distiller(toy.student(), Curriculum(Stage("turns", objectives, Epochs(4))))


def stages(toy) -> Distiller:
    """Stages that begin within an epoch, freeze and thaw, forget the momenta, and change the rate."""
    taught = [truth(weight=0.5), Distill(toy.primary(), "heatmap", losses.mse, weight=0.5)]
    return Distiller(
        toy.student(),
        Curriculum(
            Stage("head", taught, Steps(7), freeze=["0", "1"], warmup_steps=3),
            Stage("all", taught, Steps(7), learning_rate=Linear(1e-2, 1e-3)),
            Stage("fresh", [truth()], Steps(7), optimizer="fresh"),
        ),
    )


def other_constants(toy) -> Distiller:
    """Stages that differ in nothing but their constant weights."""
    primary = toy.primary()

    def stage(name: str, weight: float) -> Stage:
        taught = Distill(primary, "heatmap", losses.mse, weight=weight)
        return Stage(name, [truth(weight=1 - weight), taught], Steps(8))

    return Distiller(toy.student(), Curriculum(stage("a", 0.3), stage("b", 0.9)))


def past(toy) -> Distiller:
    """A teacher that follows the student, with the others in an ensemble."""
    student = toy.student()
    both = EnsembleTeacher("both", [EMATeacher("past", student, decay=0.7), toy.primary()], weights=[1, 2])
    objectives = [truth(), Distill(both, "heatmap", losses.mse, weight=Linear(0.1, 1.0))]
    return Distiller(
        student, Curriculum(Stage("plain", [truth()], Epochs(1)), Stage("past", objectives, Epochs(3)))
    )


def balanced(toy) -> Distiller:
    """Learned weights, and an adaptor of a feature."""
    balance = Uncertainty()
    wide = ModuleTeacher("wide", toy.network(width=12), "image", "heatmap", features={"hidden": "2"})
    torch.manual_seed(11)
    adaptors = {"made": Adaptor.conv("hidden", 4, 12)}
    student = Student(toy.network(width=4), features={"hidden": "2"}, adaptors=adaptors)
    objectives = [truth(balance=balance), Distill(wide, "made", losses.hint, target="hidden", balance=balance)]
    return Distiller(student, Curriculum(Stage("only", objectives, Epochs(4))))


DISTILLERS = {one.__name__: one for one in (ramps, in_turn, stages, other_constants, past, balanced)}
OPTIONS: dict[str, dict] = {
    "plain": {},
    "averaged and clipped": {"ema": 0.9, "clip_norm": 0.05},
    "bf16": {"precision": "bf16"},
    "not fused": {"optimizer": partial(torch.optim.Adam, lr=1e-2, foreach=True), "ema": 0.9, "clip_norm": 0.05},
    "AdamW": {"optimizer": partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("make", DISTILLERS.values(), ids=DISTILLERS)
def test_it_is_the_run_without_to_the_bit(toy, tmp_path, tape, make, options):
    trainer(make(toy), tmp_path / "eager", loader(toy), EAGER, **options).fit()
    assert tape.recordings == 0
    trainer(make(toy), tmp_path / "recorded", loader(toy), **options).fit()
    assert tape.replays > 0
    assert same(outcome(tmp_path / "eager"), outcome(tmp_path / "recorded"))


def test_momentum_is_recorded(toy, tmp_path, tape):
    sgd = partial(torch.optim.SGD, lr=1e-2, momentum=0.9, weight_decay=0.1)
    for name, performance in {"eager": EAGER, "recorded": RECORDED}.items():
        trainer(ramps(toy), tmp_path / name, loader(toy), performance, optimizer=sgd).fit()
    assert same(outcome(tmp_path / "eager"), outcome(tmp_path / "recorded"))


@pytest.mark.parametrize("make", [ramps, past, stages])
@pytest.mark.parametrize("crash_at", [2, 9, 17])
def test_resumed_equals_never_stopped(toy, tmp_path, tape, make, crash_at):
    options = {"ema": 0.9, "checkpoint_steps": 1}
    trainer(make(toy), tmp_path / "straight", loader(toy), EAGER, **options).fit()
    with pytest.raises(Interrupted):
        trainer(make(toy), tmp_path / "resumed", Fragile(loader(toy), crash_at), **options).fit()
    trainer(make(toy), tmp_path / "resumed", loader(toy), **options).fit()
    assert same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


class TestRecordings:
    """Twenty steps in four epochs; the fifth of each is smaller and never replayed."""

    def count(self, toy, tmp_path, tape, make: Callable) -> tuple[int, int, int]:
        trainer(make(toy), tmp_path, loader(toy)).fit()
        return tape.rehearsals, tape.recordings, tape.replays

    def test_one_a_set_of_objectives(self, toy, tmp_path, tape):
        # The first step, whose ramp is at 0, is alone of its kind; three more and a smaller one are rehearsed.
        assert self.count(toy, tmp_path, tape, ramps) == (5, 1, 20 - 5 - 1 - 3)

    def test_each_of_several_sets_has_its_own(self, toy, tmp_path, tape):
        # Steps 1, 4 ... of the first teacher, 2, 5 ... of the second, 3, 6 ... of none: seven, seven and six.
        rehearsals, recordings, replays = self.count(toy, tmp_path, tape, in_turn)
        assert recordings == 3
        assert rehearsals + recordings + replays == 20 - 2  # the smaller batches after the first recording
        assert replays == 4

    def test_a_stage_begins_anew(self, toy, tmp_path, tape):
        assert self.count(toy, tmp_path, tape, stages)[:2] == (11, 3)

    def test_a_part_that_is_frozen_or_thawed_by_hand_begins_anew(self, toy, tmp_path, tape):
        made = trainer(in_one_stage(toy), tmp_path, [toy.batch()])
        batch, module = toy.batch(), made.distiller.student.module

        def recordings() -> int:
            for _ in range(6):
                made.step(batch)
            return tape.recordings

        assert recordings() == 1
        module[0].weight.requires_grad_(False)
        assert recordings() == 2
        module[1].eval()
        assert recordings() == 3
        module[4].weight.data = module[4].weight.data.contiguous(memory_format=torch.channels_last).clone()
        assert recordings() == 4
        assert recordings() == 4

    def test_the_form_of_batches_is_the_first_that_is_seen_often_enough(self, toy, tmp_path, tape):
        made = trainer(in_one_stage(toy), tmp_path, [toy.batch()])
        for size in (2, 4, 4, 2, 4):
            made.step(toy.batch(size))
        assert (tape.rehearsals, tape.recordings) == (5, 0)
        made.step(toy.batch(4))
        for size in (2, 2, 4):
            made.step(toy.batch(size))
        assert (tape.recordings, tape.replays) == (1, 1)


def in_one_stage(toy, *objectives) -> Distiller:
    return Distiller(toy.student(), Curriculum(Stage("a", objectives or [truth()], Steps(1000))))


def test_a_teacher_of_weight_zero_is_not_run(toy, tmp_path, tape):
    class Counted(ModuleTeacher):
        calls = 0

    teacher = Counted("off", toy.network(seed=1), "image", "heatmap")
    teacher.module.register_forward_pre_hook(lambda *given: setattr(Counted, "calls", Counted.calls + 1))
    taught = Distill(teacher, "heatmap", losses.mse, weight=Alternate((0.0, 1.0), every=6))
    made = trainer(in_one_stage(toy, truth(), taught), tmp_path, [toy.batch()])
    for _ in range(6):
        made.step(toy.batch())
    assert Counted.calls == 2  # at the run's start, to be compared with later, and with itself
    made.step(toy.batch())
    assert Counted.calls == 3


def test_a_loss_that_is_not_finite_is_noticed_and_named(toy, tmp_path, tape):
    made = trainer(in_one_stage(toy), tmp_path, [toy.batch()])
    batch = toy.batch()
    for _ in range(5):
        made.step(batch)
    broken = {**batch, "heatmap": batch["heatmap"].clone()}
    broken["heatmap"][2] = float("nan")
    broken["visible"] = torch.ones_like(batch["visible"])
    with pytest.raises(NonFiniteLossError, match=r"step 6 in supervise/heatmap, sample ids \[1002\]"):
        made.step(broken)


def test_losses_that_were_given_stay_when_the_step_is_replayed(toy, tmp_path, tape):
    made = trainer(in_one_stage(toy), tmp_path, [toy.batch()])
    recorded = made._step._recorded
    given = [recorded(toy.batch()) for _ in range(6)]
    totals = [float(losses.total) for losses in given]
    assert len(set(totals)) == 6
    assert [float(losses.samples["supervise/heatmap"].mean()) for losses in given] == pytest.approx(totals)


def test_a_replay_reads_nothing_on_the_host(toy, tmp_path, tape):
    made = trainer(ramps(toy), tmp_path, loader(toy), ema=0.9, clip_norm=0.05, log_every=1000)
    made._step._always_looks = False  # as on an accelerator
    made.distiller.curriculum.steps_per_epoch = 5
    batch = toy.batch()
    for _ in range(6):
        made.step(batch)
    with Tape() as around:
        made.step(batch)
    assert tape.replays == 2
    assert around.reads == []


def test_a_step_of_several_batches_is_refused(toy, tmp_path, tape):
    made = trainer(in_one_stage(toy), tmp_path, [toy.batch()])
    with pytest.raises(ConfigurationError, match="of one batch, found 2"):
        made.step(toy.batch(), toy.batch())


class Unknown(Teacher):
    name, reads, outputs = "web", ("image",), ("heatmap",)

    def targets(self, batch):
        return {"heatmap": torch.zeros(len(batch["image"]), 5, 8, 6)}


EASY = EasyFirst(Agreement("heatmap", losses.mse), Linear(0.5, 1.0))
FAULTS = {
    "GradientNorm": truth(balance=GradientNorm()),
    "Magnitude": truth(balance=Magnitude()),
    "EasyFirst": Supervise("heatmap", losses.mse, region=EASY),
    "Unknown": Distill(Unknown(), "heatmap", losses.mse),
}


class TestWhatCannotBeRecorded:
    @pytest.mark.parametrize("name", FAULTS)
    def test_is_named_and_the_run_is_as_without(self, toy, tmp_path, tape, capsys, name):
        objective = FAULTS[name]
        made = trainer(in_one_stage(toy, objective), tmp_path, [toy.batch()], progress=True)
        said = capsys.readouterr().err
        assert "the step is not recorded as a CUDA graph, it runs as it is: objective" in said
        assert name in said
        assert "cuda_graph" not in json.dumps(made._config)
        for _ in range(5):
            made.step(toy.batch())
        assert tape.rehearsals == tape.recordings == 0

    def test_is_no_fault_where_it_is_switched_off(self, toy, tmp_path, tape):
        made = trainer(in_one_stage(toy, truth(), truth(weight=0, name="b", balance=Magnitude())), tmp_path, [{}])
        assert made._config["trainer"]["performance"]["cuda_graph"]

    def test_a_cpu_has_no_graphs(self, toy, tmp_path, capsys):
        made = trainer(in_one_stage(toy), tmp_path, [toy.batch()], progress=True)
        assert "there is no CUDA device, the student is on cpu" in capsys.readouterr().err
        made.step(toy.batch())

    def test_a_scaler_decides_on_the_host(self, toy, tape):
        given = tuning.recorder_if_possible(RECORDED, in_one_stage(toy), torch.device("cuda"), "fp16")
        assert given[0] is None
        assert "precision='fp16'" in given[1]

    def test_gradients_are_not_accumulated(self, toy, tmp_path, tape):
        with pytest.raises(ConfigurationError, match="cuda_graph=True with accumulate=2"):
            trainer(in_one_stage(toy), tmp_path, [toy.batch()], accumulate=2)

    @pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
    def test_the_compilers_graphs_are_not_nested(self, mode):
        with pytest.raises(ConfigurationError, match="with cuda_graph=True use compile=True"):
            Performance(compile=mode, cuda_graph=True)

    def test_an_optimizer_that_cannot_be_recorded_follows_and_says_so(self, toy, tmp_path, tape, capsys):
        trainer(in_one_stage(toy), tmp_path, [toy.batch()], optimizer=torch.optim.RMSprop, progress=True)
        assert "the optimizer's step follows the CUDA graph" in capsys.readouterr().err

    @pytest.mark.parametrize("options", [{"mode": "reduce-overhead"}, {"options": {"triton.cudagraphs": True}}])
    def test_a_teacher_with_graphs_of_its_own(self, toy, options):
        from kdkit.fast_network import CompiledNetwork, FastNetwork

        primary = toy.primary()
        network = FastNetwork(primary, toy.network(), ["heatmap"], {})
        for chosen, fault in ((options, "CUDA graphs of its own"), ({"mode": "default"}, "")):
            compiled = ModuleTeacher("a", CompiledNetwork(network, chosen), "image", "heatmap")
            assert fault in teacher_fault(compiled)
            assert bool(fault) == bool(teacher_fault(compiled))

    @pytest.mark.parametrize("kind", [CachedTeacher, CanonicalTeacher])
    def test_a_cached_teacher_that_looks_its_records_up(self, toy, tmp_path, kind):
        mode = CANONICAL if kind is CanonicalTeacher else None
        build_cache(
            *(tmp_path, toy.primary(), Marked(toy.pictures(4))),
            codecs={"heatmap": Dense("float16")},
            views=1,
            ids=range(1000, 1004),
            fingerprint={"data": "noise", **(mode or {})},
        )
        cache = TargetCache.open(tmp_path)
        swapped = {"swapped": {}} if mode else {}
        assert "give it records=..." in teacher_fault(kind("cached", cache, **swapped))
        assert teacher_fault(kind("cached", cache, records="records", **swapped)) == ""


class Marked:
    """Pictures of one look, whichever view is asked for."""

    def __init__(self, pictures) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key):
        return {**self.pictures[key[0]], "view": torch.tensor(key[1])}


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(())])
def test_every_generator_of_the_host_is_watched(draw):
    for device, torchs_own in (("cpu", True), ("cuda", False)):
        before = host_random_state(torch.device(device))
        assert host_random_state(torch.device(device)) == before
        drawn = draw()
        unseen = torchs_own and isinstance(drawn, torch.Tensor)
        assert (host_random_state(torch.device(device)) == before) == unseen


class Drawing(nn.Module):
    """Decides on the host, in a way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.layer = way, nn.Conv2d(3, 5, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, image):
        maps = self.layer(image)
        if self.way == "draws random numbers on the host" and random.random() > 2:
            return maps * 2
        if self.way == "reads a value" and maps.sum().item() > 1e9:
            return maps * 2
        if self.way == "replaces its buffer":
            self.calls = self.calls + 1
        return maps


@pytest.mark.parametrize("way", ["draws random numbers on the host", "reads a value", "replaces its buffer"])
def test_what_is_found_when_it_is_tried_is_said_and_the_run_goes_on(toy, tmp_path, tape, capsys, way):
    runs = []
    for performance in (EAGER, RECORDED):
        torch.manual_seed(5)
        distiller = Distiller(Student(Drawing(way)), Curriculum(Stage("a", [truth()], Steps(9))))
        made = trainer(distiller, tmp_path / str(len(runs)), [toy.batch()], performance, progress=True)
        made.fit()
        runs.append(distiller.student.state_dict())
    assert tape.recordings == 0
    assert way in capsys.readouterr().err
    assert same(*runs)


def test_a_field_that_is_no_tensor_is_said(toy, tmp_path, tape, capsys):
    made = trainer(in_one_stage(toy), tmp_path, [toy.batch()], progress=True)
    for _ in range(5):
        made.step({**toy.batch(), "path": ["a.jpg"] * 4})
    assert capsys.readouterr().err.count("the batch's fields ['path'] are no tensors") == 1
    assert tape.rehearsals == 0


def test_a_checkpoint_holds_plain_numbers_as_rates(toy, tmp_path, tape):
    trainer(ramps(toy), tmp_path, loader(toy)).fit()
    saved = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert all(isinstance(group["lr"], float) for group in saved["optimizer"]["param_groups"])
