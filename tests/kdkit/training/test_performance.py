"""Each part of the performance, alone and together: the same run but for the last bits, and the same export."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounterWithBackend

from kdkit import (
    Adaptor,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    GradientNorm,
    ModuleTeacher,
    Performance,
    RunFolderError,
    Stage,
    Student,
    Supervise,
    Trainer,
    losses,
)
from kdkit.training.tuning import choose_performance, choose_precision, compiler_fault, tune

from .interruption import Fragile, Interrupted

ADAM = partial(torch.optim.Adam, lr=1e-2)
CPU = torch.device("cpu")


def trainer(toy, out, *, loader=None, distiller=None, **options) -> Trainer:
    torch.manual_seed(7)
    options = {"optimizer": ADAM, "checkpoint_steps": 1, "cpu": True, "progress": False, **options}
    return Trainer(distiller or toy.distiller(), toy.loader() if loader is None else loader, out=out, **options)


def lines(out) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name.startswith("loss/")} for line in found]


def network(out) -> dict[str, torch.Tensor]:
    return torch.load(out / "checkpoints" / "last.pt", weights_only=True)["network"]


def assert_close(found, expected) -> None:
    for name, value in expected.items():
        # A bias before BatchNorm has no gradient but rounding errors, which Adam makes as large as any other.
        if not name.endswith(("0.bias", "1.running_mean")):
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


def settings(out) -> dict[str, object]:
    return json.loads((out / "config.json").read_text())["trainer"]


@pytest.fixture
def compiled(monkeypatch) -> CompileCounterWithBackend:
    """Compiles without a compiler, and counts."""
    torch._dynamo.reset()
    counter, real = CompileCounterWithBackend("aot_eager"), torch.compile
    monkeypatch.setattr(torch, "compile", lambda run, mode=None: real(run, backend=counter))
    return counter


PARTS = {
    "max": "max",
    "channels last": Performance(channels_last=True),
    "compiled": Performance(compile=True),
    "fused": Performance(fused_optimizer=True),
    "all": Performance(channels_last=True, compile=True, fused_optimizer=True),
}


@pytest.mark.parametrize("performance", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "clip_norm": 1.0}], ids=["plain", "averaged"])
def test_losses_are_the_defaults_but_for_rounding(toy, tmp_path, compiled, performance, options):
    trainer(toy, tmp_path / "default", **options).fit()
    trainer(toy, tmp_path / "fast", performance=performance, **options).fit()
    for expected, found in zip(lines(tmp_path / "default"), lines(tmp_path / "fast"), strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    assert_close(network(tmp_path / "fast"), network(tmp_path / "default"))


@pytest.mark.parametrize("performance", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("crash_at", [1, 4, 8])
def test_resumed_equals_never_stopped_to_the_bit(toy, tmp_path, compiled, performance, crash_at):
    options = {"performance": performance, "ema": 0.9}
    trainer(toy, tmp_path / "straight", **options).fit()
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "resumed", loader=Fragile(toy.loader(), crash_at), **options).fit()
    trainer(toy, tmp_path / "resumed", **options).fit()
    straight, resumed = network(tmp_path / "straight"), network(tmp_path / "resumed")
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())
    assert lines(tmp_path / "straight") == lines(tmp_path / "resumed")


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}], ids=["plain", "averaged"])
def test_the_export_is_plain_and_the_network_is_left_as_usual(toy, tmp_path, compiled, options):
    made = trainer(toy, tmp_path, performance=PARTS["all"], **options)
    exported = load_file(made.fit().student)
    module = made.distiller.student.module
    assert exported.keys() == toy.network(width=4).state_dict().keys()
    for value in (*exported.values(), *module.parameters()):
        assert value.is_contiguous()
        assert value.dtype in (torch.float32, torch.int64)
    toy.network(width=4).load_state_dict(exported)
    toy.network(width=4).load_state_dict(network(tmp_path))


def test_channels_lie_innermost_in_weights_and_inputs_of_student_and_teachers(toy, tmp_path):
    made = trainer(toy, tmp_path, performance=Performance(channels_last=True), prepare=lambda batch: dict(batch))
    distiller, seen = made.distiller, []

    def watch(module):
        forward = module.forward

        def watched(*inputs):
            weights = [value for value in module.parameters() if value.ndim == 4 and value.shape[1] > 1]
            pictures = [value for value in inputs if value.shape[1] > 1]
            every = [*weights, *pictures]
            seen.append(bool(weights) and all(v.is_contiguous(memory_format=torch.channels_last) for v in every))
            return forward(*inputs)

        module.forward = watched

    for module in (distiller.student.module, *(teacher.module for teacher in distiller.teachers)):
        watch(module)
    made.fit()
    assert len(seen) == 24 + 5  # each teacher twice at the start, and one at its stage's, to be compared
    assert all(seen)


def test_a_run_says_what_it_computed_with_and_is_not_gone_on_with_otherwise(toy, tmp_path):
    trainer(toy, tmp_path / "default").fit()
    assert "performance" not in settings(tmp_path / "default")
    trainer(toy, tmp_path / "max", performance="max").fit()
    assert settings(tmp_path / "max")["performance"] == {
        "channels_last": True,
        "compile": False,
        "fused_optimizer": True,
    }
    assert settings(tmp_path / "max")["precision"] == "no"
    with pytest.raises(RunFolderError, match=r"trainer\.performance\.channels_last"):
        trainer(toy, tmp_path / "max", performance=Performance(fused_optimizer=True)).fit()
    with pytest.raises(RunFolderError, match=r"trainer\.performance\.channels_last"):
        trainer(toy, tmp_path / "default", performance="max").fit()


class TestCompiling:
    def test_stages_that_freeze_and_thaw_parts_and_adaptors_stay_right(self, toy, tmp_path, compiled):
        def distiller() -> Distiller:
            wide = ModuleTeacher(
                "wide", toy.network(width=12, seed=1), "image", "heatmap", features={"hidden": "2"}
            )
            torch.manual_seed(11)
            adaptors = {"made": Adaptor.conv("hidden", 4, 12)}
            student = Student(toy.network(width=4), features={"hidden": "2"}, adaptors=adaptors)
            objectives = [
                Supervise("heatmap", losses.mse),
                Distill(wide, "made", losses.hint, target="hidden"),
            ]
            return Distiller(
                student,
                Curriculum(
                    Stage("head", objectives, Epochs(1), freeze=["0", "1"]),
                    Stage("all", objectives, Epochs(2)),
                    Stage("body", objectives[:1], Epochs(1), freeze=["4"]),
                ),
            )

        runs = {}
        for name, performance in {"eager": Performance(), "compiled": Performance(compile=True)}.items():
            made = distiller()
            frames = compiled.frame_count
            trainer(toy, tmp_path / name, distiller=made, performance=performance).fit()
            runs[name] = lines(tmp_path / name), made.student.state_dict(), compiled.frame_count - frames
        assert runs["eager"][2] == 0
        assert 3 <= runs["compiled"][2] <= 6  # the probe, and the student once for each set of what trains
        for expected, found in zip(runs["eager"][0], runs["compiled"][0], strict=True):
            assert found == pytest.approx(expected, rel=1e-4)
        assert_close(runs["compiled"][1], runs["eager"][1])

    def test_autocast_is_inside(self, toy, tmp_path, compiled):
        options = {"precision": "bf16", "distiller": None}
        trainer(toy, tmp_path / "eager", **options).fit()
        trainer(toy, tmp_path / "compiled", performance=Performance(compile=True), **options).fit()
        assert compiled.frame_count > 1
        for expected, found in zip(lines(tmp_path / "eager"), lines(tmp_path / "compiled"), strict=True):
            assert found == pytest.approx(expected, rel=1e-2)

    def test_without_a_compiler_it_runs_as_it_is_and_says_why(self, toy, tmp_path, monkeypatch, capsys):
        def missing(run, **options):
            def fail(*inputs):
                raise RuntimeError("no g++ was found\nand more")

            return fail

        monkeypatch.setattr(torch, "compile", missing)
        options = {"performance": Performance(compile=True, channels_last=True), "progress": True}
        made = trainer(toy, tmp_path, **options)
        assert "nothing is compiled, the student runs as it is: RuntimeError: no g++ was found\n" in (
            capsys.readouterr().err
        )
        made.fit()
        assert settings(tmp_path)["performance"] == {
            "channels_last": True,
            "compile": False,
            "fused_optimizer": False,
        }

    def test_a_balance_that_looks_inside_the_student_keeps_it_from_being_compiled(self, toy, tmp_path, compiled):
        balance = GradientNorm(part="4")
        stage = Stage("a", [Supervise("heatmap", losses.mse, balance=balance)], Epochs(1))
        made = Distiller(toy.student(), Curriculum(stage))
        tuning = tune(made, ADAM, Performance(compile=True), None, accumulate=1, cpu=True)
        assert not tuning.performance.compile
        assert "GradientNorm" in tuning.notes[0]

    def test_a_working_compiler_has_no_fault(self, compiled):
        assert compiler_fault(CPU) == ""
        assert compiled.frame_count == 1

    def test_graphs_do_not_go_with_accumulation(self, toy, tmp_path, compiled):
        for mode in ("reduce-overhead", "max-autotune"):
            with pytest.raises(ConfigurationError, match=rf"compile='{mode}' with accumulate=2"):
                trainer(toy, tmp_path, performance=Performance(compile=mode), accumulate=2)
        trainer(toy, tmp_path, performance=Performance(compile=True), accumulate=2)

    def test_the_mode_is_handed_on(self, toy, tmp_path, monkeypatch):
        modes = []
        monkeypatch.setattr(torch, "compile", lambda run, mode=None: modes.append(mode) or run)
        for given in (True, "reduce-overhead"):
            trainer(toy, tmp_path, performance=Performance(compile=given))
        assert modes == [None, "default", None, "reduce-overhead"]


class TestFusing:
    def optimizer(self, toy, given, performance="max"):
        tuning = tune(toy.distiller(), given, performance, None, accumulate=1, cpu=True)
        return tuning.optimizer.param_groups[0].get("fused"), tuning.notes

    @pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
    def test_a_class_or_a_partial_of_one_is_fused(self, toy, kind):
        assert self.optimizer(toy, partial(kind, lr=0.1)) == (True, ())
        assert self.optimizer(toy, kind) == (True, ())
        assert self.optimizer(toy, kind, "default")[0] is not True

    def test_what_the_user_chose_stays(self, toy):
        for chosen in ({"fused": False}, {"foreach": True}):
            fused, notes = self.optimizer(toy, partial(torch.optim.Adam, **chosen))
            assert not fused
            assert "the optimizer is not fused" in notes[0]

    def test_one_that_cannot_be_fused_says_so(self, toy):
        assert "partial(RMSprop" in self.optimizer(toy, torch.optim.RMSprop)[1][0]
        assert "partial(Adam" in self.optimizer(toy, lambda parameters: torch.optim.Adam(parameters))[1][0]

    def test_an_instance_is_left_alone_and_says_so(self, toy):
        distiller = toy.distiller()
        given = torch.optim.Adam(distiller.student.parameters())
        tuning = tune(distiller, given, "max", None, accumulate=1, cpu=True)
        assert tuning.optimizer is given
        assert "made already" in tuning.notes[0]
        fused = torch.optim.Adam(distiller.student.parameters(), fused=True)
        assert tune(distiller, fused, "max", None, accumulate=1, cpu=True).notes == ()


class TestPrecision:
    def test_max_takes_bf16_only_where_the_hardware_computes_in_it(self, monkeypatch):
        cuda = torch.device("cuda")
        for capability, expected in {(7, 5): "no", (8, 0): "bf16", (9, 0): "bf16"}.items():
            monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
            assert choose_precision(None, "max", cuda) == expected
            assert choose_precision("fp16", "max", cuda) == "fp16"
            assert choose_precision("no", "max", cuda) == "no"
            assert choose_precision(None, "default", cuda) == "no"
            assert choose_precision(None, Performance(compile=True), cuda) == "no"
        assert choose_precision(None, "max", CPU) == "no"
        with pytest.raises(ConfigurationError, match="fp16 needs an accelerator"):
            choose_precision("fp16", "max", CPU)

    def test_max_is_everything_on_an_accelerator(self):
        assert choose_performance("max", torch.device("cuda")) == PARTS["all"]
        assert choose_performance("default", torch.device("cuda")) == Performance()


def test_unknown_values_are_refused(toy, tmp_path):
    with pytest.raises(ConfigurationError, match="performance is 'most', it must be 'default', 'max'"):
        trainer(toy, tmp_path, performance="most")
    with pytest.raises(ConfigurationError, match="compile is 'fast', it must be True, False or one of default"):
        Performance(compile="fast")
