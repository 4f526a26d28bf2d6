import copy
import json
import math
import weakref
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from kdkit import (
    BatchError,
    Binarize,
    Confidence,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EMATeacher,
    EnsembleTeacher,
    Epochs,
    FastTeacher,
    ModuleTeacher,
    Stage,
    Teacher,
    Trainer,
    TransformedTeacher,
    fast_teacher,
    losses,
)
from kdkit.training.description import describe_run
from kdkit.transforms import Resize, Standardize

quick = partial(fast_teacher, compile=False)


def graphs() -> CompileCounterWithBackend:
    torch._dynamo.reset()
    return CompileCounterWithBackend("aot_eager")


def assert_agree(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == torch.float32
        assert found[name].is_contiguous()
        torch.testing.assert_close(found[name], value, atol=atol, rtol=0)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", ["primary", "senior"])
def test_it_gives_the_same_targets_and_leaves_the_teacher_as_it_was(toy, kind, compiled, channels_last):
    teacher: ModuleTeacher = getattr(toy, kind)()
    before = {name: value.clone() for name, value in teacher.module.state_dict().items()}
    counter = graphs()
    options = {"backend": counter} if compiled else False
    fast = fast_teacher(teacher, toy.batch(), compile=options, channels_last=channels_last)
    assert (fast.name, fast.reads, fast.outputs) == (teacher.name, teacher.reads, teacher.outputs)
    assert_agree(fast.targets(toy.batch(3)), teacher.targets(toy.batch(3)))
    conversion = fast.conversions[0]
    assert (conversion.dtype, conversion.compiled, conversion.failure) == (torch.float32, compiled, None)
    assert (counter.frame_count > 0) == compiled
    weight = next(value for value in fast.parameters() if value.ndim == 4 and value.shape[1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    after = teacher.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not {id(value) for value in fast.parameters()} & {id(value) for value in teacher.parameters()}


def test_its_targets_have_no_gradient_and_nothing_trains(toy):
    fast = quick(toy.primary(), toy.batch())
    expected = fast.targets(toy.batch())["heatmap"]
    fast._runs.module.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = fast.targets(toy.batch())["heatmap"]
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert not found.is_inference()
    assert not any(value.requires_grad for value in fast.parameters())


def test_bfloat16_is_cast_once_and_agrees_within_its_rounding(toy):
    teacher = toy.primary()
    fast = quick(teacher, toy.batch(), dtype=torch.bfloat16)
    assert {value.dtype for value in fast.parameters()} == {torch.bfloat16}
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()), atol=0.05)
    assert 1e-4 < fast.agreement.outputs["heatmap"].relative < 0.05
    assert "bfloat16" in repr(fast)


def test_a_batchnorm_that_is_left_keeps_float32():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 5, 1))
    network[0].running_var += 1000
    batch = {"image": 30 * torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))}
    fast = quick(ModuleTeacher("t", network, "image", "heatmap"), batch, dtype=torch.bfloat16)
    assert {value.dtype for value in fast._runs.module.module[0].state_dict().values()} == {
        torch.float32,
        torch.int64,
    }
    assert fast.agreement.outputs["heatmap"].relative < 0.05


def test_a_teacher_of_low_precision_is_compared_with_float32(toy):
    half = ModuleTeacher("half", toy.network(), "image", "heatmap", dtype=torch.bfloat16)
    exact = ModuleTeacher("exact", copy.deepcopy(half.module).float(), "image", "heatmap")
    fast = quick(half, toy.batch(), dtype=torch.float32)
    assert_agree(fast.targets(toy.batch()), exact.targets(toy.batch()))
    assert {value.dtype for value in half.parameters()} == {torch.bfloat16}


def test_agreement_is_that_of_the_batch(toy):
    teacher, batch = toy.primary(), toy.batch()
    fast = quick(teacher, batch, dtype=torch.bfloat16)
    difference = (fast.targets(batch)["heatmap"] - teacher.targets(batch)["heatmap"]).abs()
    found = fast.agreement.outputs["heatmap"]
    assert found.largest == pytest.approx(float(difference.max()), rel=1e-3)
    assert found.mean == pytest.approx(float(difference.mean()), rel=1e-3)
    assert str(fast).startswith("teacher 'primary' differs from float32 in heatmap by ")
    assert str(fast).endswith("(bfloat16, 1 of 1 BatchNorms folded, not compiled)")
    assert "\n" not in str(fast)


def test_what_does_not_agree_is_refused_with_the_figure_and_a_remedy(toy):
    with pytest.raises(ConfigurationError) as caught:
        quick(toy.primary(), toy.batch(), dtype=torch.bfloat16, tolerance=1e-5)
    message = str(caught.value)
    for words in (
        "teacher 'primary'",
        "'heatmap'",
        "above the tolerance 1e-05",
        "dtype=torch.float32",
        "fold_batchnorm=False",
    ):
        assert words in message
    figure = quick(toy.primary(), toy.batch(), dtype=torch.bfloat16).agreement.outputs["heatmap"]
    assert f"{figure.largest:.3g}" in message
    assert f"{figure.relative:.3g} of the output's range" in message


@pytest.mark.parametrize("factor", [math.inf, math.nan])
def test_an_output_that_is_not_finite_is_refused(factor):
    class Overflowing(nn.Module):
        def forward(self, image):
            return image * factor if image.dtype == torch.float16 else image

    teacher = ModuleTeacher("t", nn.Sequential(nn.Conv2d(3, 5, 1), Overflowing()), "image", "heatmap")
    with pytest.raises(ConfigurationError, match="differs"):
        quick(teacher, {"image": torch.rand(1, 3, 4, 4)}, dtype=torch.float16, tolerance=1e9)


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head, self.unasked = nn.Conv2d(8, 5, 1), nn.Conv2d(8, 64, 1)

    def forward(self, image):
        hidden = self.trunk(image)
        return {"heatmap": self.head(hidden), "depth": self.unasked(hidden)}


def several() -> ModuleTeacher:
    torch.manual_seed(0)
    return ModuleTeacher("several", Several(), "image", ("heatmap", "depth"), features={"hidden": "trunk.2"})


def test_only_what_is_asked_for_is_computed(toy):
    operations = []

    def backend(graph, inputs):
        operations.extend(node for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    torch._dynamo.reset()
    teacher, batch = several(), toy.batch()
    fast = fast_teacher(teacher, batch, outputs=("hidden", "heatmap"), compile={"backend": backend})
    assert fast.outputs == ("hidden", "heatmap")
    expected = teacher.targets(batch)
    assert_agree(fast.targets(batch), {name: expected[name] for name in fast.outputs})
    assert list(fast.agreement.outputs) == ["hidden", "heatmap"]
    assert "outputs=('hidden', 'heatmap')" in repr(fast)
    # Nothing reads the unasked head's result, so that the compiler drops it.
    heads = [node for node in operations if "conv" in str(node.target)]
    assert sorted(len(node.users) for node in heads) == [0, 1, 1]


@pytest.mark.parametrize("outputs", ["depht", ("heatmap", "x"), ()])
def test_an_output_that_there_is_not_is_refused(toy, outputs):
    with pytest.raises(ConfigurationError, match=r"teacher 'several'.*'depth', 'hidden'"):
        quick(several(), toy.batch(), outputs=outputs)


def test_it_has_the_teachers_fingerprint_and_convention(toy):
    teacher = toy.primary()
    teacher.module.convention = {"codec": "discs"}
    fast = quick(teacher, toy.batch())
    assert fast.fingerprint() == teacher.fingerprint() is not None
    assert fast.convention == {"codec": "discs"}
    assert fast.members == (fast,)
    assert fast.state_dict() == {}


def test_the_teacher_may_go(toy):
    teacher = toy.primary()
    gone = weakref.ref(teacher.module[0].weight)
    fast = quick(teacher, toy.batch())
    del teacher
    assert gone() is None
    fast.targets(toy.batch())


class Squared(ModuleTeacher):
    def targets(self, batch):
        return {name: value.square() for name, value in super().targets(batch).items()}


class Constant(Teacher):
    name, reads, outputs = "constant", ("image",), ("heatmap",)

    def targets(self, batch):
        return {"heatmap": torch.zeros(len(batch["image"]), 5, 8, 6)}


def test_what_is_no_frozen_network_is_refused(toy):
    past = EMATeacher("past", toy.student())
    with pytest.raises(
        ConfigurationError, match=r"'past' is a EMATeacher, which gives its targets in its own way"
    ):
        quick(past, toy.batch())
    with pytest.raises(ConfigurationError, match=r"'past' is a EMATeacher"):
        quick(TransformedTeacher(past), toy.batch())
    with pytest.raises(ConfigurationError, match=r"'squared' is a Squared, which gives"):
        quick(Squared("squared", toy.network(), "image", "heatmap"), toy.batch())
    with pytest.raises(ConfigurationError, match=r"'constant' is a Constant, and neither a ModuleTeacher nor"):
        quick(Constant(), toy.batch())
    with pytest.raises(ConfigurationError, match=r"'primary' is a FastTeacher"):
        quick(quick(toy.primary(), toy.batch()), toy.batch())
    with pytest.raises(ConfigurationError, match="'mean' is a EnsembleTeacher without a member"):
        quick(EnsembleTeacher("mean", [Constant(), EnsembleTeacher("inner", [past])]), toy.batch())
    with pytest.raises(BatchError, match="'mask'"):
        quick(toy.senior(), {"image": toy.batch()["image"]})


@pytest.mark.parametrize("dtype", ["bf16", torch.int8])
def test_a_type_that_is_none_is_refused(toy, dtype):
    with pytest.raises(ConfigurationError, match="teacher 'primary': dtype="):
        quick(toy.primary(), toy.batch(), dtype=dtype)


def test_a_compiled_network_is_made_fast_without_its_compiled_form(toy):
    teacher = ModuleTeacher("t", torch.compile(toy.network(), backend="eager"), "image", "heatmap")
    fast = quick(teacher, toy.batch())
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()))
    assert fast.conversions[0].folding.folded == 1


def test_transforms_around_it_are_kept(toy):
    before = {"image": Resize(16, 12) >> Standardize((0.5, 0.4, 0.3), (0.5, 0.25, 0.2))}
    after = {"heatmap": Binarize(0.5)}
    teacher = TransformedTeacher(toy.primary(), inputs=before, outputs=after, name="large")
    fast = quick(teacher, toy.batch())
    assert fast.name == "large"
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()))
    assert [member.fingerprint() for member in fast.members] == [one.fingerprint() for one in teacher.members]
    assert fast.fingerprint() == teacher.fingerprint()
    assert fast.convention == {}
    # Of the network's outputs, not of the discs made of them.
    assert 0 < fast.agreement.outputs["heatmap"].largest < 1e-5
    assert teacher.input_transforms == before
    assert isinstance(teacher.teacher, ModuleTeacher)


@pytest.mark.parametrize("weights", [[3, 1], Confidence("peak", per="channel")], ids=["numbers", "score"])
def test_each_member_of_an_ensemble_is_made_fast(toy, weights):
    shared = toy.primary()
    ensemble = EnsembleTeacher("both", [shared, toy.senior()], weights)
    teacher = TransformedTeacher(ensemble, inputs={"image": Standardize((0.5,) * 3, (0.5,) * 3)})
    fast = quick(teacher, toy.batch())
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()))
    assert [type(member) for member in fast.members] == [FastTeacher, FastTeacher]
    assert [member.fingerprint() for member in fast.members] == [one.fingerprint() for one in teacher.members]
    assert list(fast.agreement.outputs) == ["primary/heatmap", "senior/heatmap"]
    assert ensemble.teachers[0] is shared
    assert "teacher 'senior' float32, 1 of 1" in str(fast)


def test_a_member_that_is_no_frozen_network_stays(toy):
    student = toy.student()
    past, primary = TransformedTeacher(EMATeacher("past", student)), toy.primary()
    teacher = EnsembleTeacher("mean", [past, Constant(), primary, primary])
    fast = quick(teacher, toy.batch())
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()))
    assert [type(member) for member in fast.members] == [EMATeacher, Constant, FastTeacher]
    assert fast.state_dict().keys() == teacher.state_dict().keys()
    assert fast.state_dict()
    fast.load_state_dict(teacher.state_dict())


def test_an_ensembles_scored_output_is_still_computed(toy):
    members = [several(), several()]
    with torch.no_grad():
        members[1].module.head.weight.add_(1)
    score = Confidence("peak", per="sample")
    teacher = EnsembleTeacher("best", members, score, "best", score_on="heatmap")
    fast = quick(teacher, toy.batch(), outputs="depth")
    assert_agree(fast.targets(toy.batch()), {"depth": teacher.targets(toy.batch())["depth"]})


def broken(graph, inputs):
    raise OSError("there is no compiler here\nat all")


def test_without_a_compiler_it_is_run_as_it_is_and_says_so(toy):
    teacher = toy.primary()
    torch._dynamo.reset()
    fast = fast_teacher(teacher, toy.batch(), compile={"backend": broken})
    conversion = fast.conversions[0]
    assert not conversion.compiled
    assert "there is no compiler here" in conversion.failure
    assert "\n" not in str(fast)
    assert "not compiled (BackendCompilerFailed" in str(fast)
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()))


def breaking(self, image):
    hidden = self[0](image)
    torch._dynamo.graph_break()
    return self[4](self[2](self[1](hidden)))


def test_a_network_that_is_not_one_graph_is_compiled_in_parts(toy):
    network = toy.network()
    network.forward = breaking.__get__(network)
    counter = graphs()
    teacher = ModuleTeacher("t", network, "image", "heatmap")
    fast = fast_teacher(teacher, toy.batch(), compile={"backend": counter})
    assert fast.conversions[0].compiled
    assert fast.conversions[0].failure is None
    assert counter.frame_count > 1
    assert_agree(fast.targets(toy.batch()), teacher.targets(toy.batch()))
    torch._dynamo.reset()
    fast = fast_teacher(teacher, toy.batch(), compile={"backend": "eager", "fullgraph": True})
    assert "Unsupported" in fast.conversions[0].failure


def test_it_is_compiled_once_wherever_it_went_in_between(toy):
    teacher, counter = several(), graphs()
    fast = fast_teacher(teacher, toy.batch(), compile={"backend": counter})
    assert counter.frame_count == 1
    expected = fast.targets(toy.batch())
    for _ in range(3):
        # What a move to another device and back does to the weights.
        for weight in fast.parameters():
            weight.data = weight.data.clone()
        assert fast.to(torch.device("cpu")) is fast
        assert_agree(fast.targets(toy.batch()), expected)
    assert counter.frame_count == 1
    with torch.no_grad():
        for weight in fast.parameters():
            weight.data = weight.data * 2
    assert not torch.equal(fast.targets(toy.batch())["heatmap"], expected["heatmap"])
    assert counter.frame_count == 1


def test_a_batch_that_does_not_fit_is_named_by_the_network(toy):
    class Particular(nn.Conv2d):
        def forward(self, image):
            if image.shape[-1] % 2:
                raise BatchError("the image must be even")
            return super().forward(image)

    runs = []

    def backend(graph, inputs):
        return lambda *given: (runs.append(given), graph(*given))[1]

    torch._dynamo.reset()
    teacher = ModuleTeacher("t", Particular(3, 5, 1), "image", "heatmap")
    fast = fast_teacher(teacher, {"image": torch.rand(2, 3, 4, 4)}, compile={"backend": backend})
    with pytest.raises(BatchError, match="must be even"):
        fast.targets({"image": torch.rand(2, 3, 4, 5)})
    with pytest.raises(BatchError, match="must be even"):
        quick(teacher, {"image": torch.rand(2, 3, 4, 5)})
    # What fits is still compiled.
    before, fits = len(runs), {"image": torch.ones(2, 3, 4, 4)}
    assert_agree(fast.targets(fits), teacher.targets(fits))
    assert len(runs) == before + 1


def curriculum(first: Teacher, second: Teacher) -> Curriculum:
    """The first teacher, the second, and the first again."""
    order = {"one": first, "two": second, "three": first}
    stages = [
        Stage(name, [Distill(teacher, "heatmap", losses.mse)], until=Epochs(1)) for name, teacher in order.items()
    ]
    return Curriculum(*stages)


def test_a_run_learns_the_same_and_goes_on_with_other_figures(toy, tmp_path):
    counter = graphs()
    make = partial(torch.optim.SGD, lr=0.1)

    def run(folder, convert, resume="never"):
        teachers = [convert(teacher) for teacher in (toy.primary(), toy.senior())]
        distiller = Distiller(toy.student(), curriculum(*teachers))
        trainer = Trainer(distiller, toy.loader(), optimizer=make, out=folder, progress=False, cpu=True)
        trainer.fit(resume)
        return distiller

    def convert(teacher):
        return fast_teacher(teacher, toy.batch(), compile={"backend": counter})

    plain = run(tmp_path / "plain", lambda teacher: teacher)
    fast = run(tmp_path / "fast", convert)
    assert counter.frame_count == 2
    for (name, value), other in zip(
        plain.student.module.state_dict().items(), fast.student.module.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(other, value, msg=name)
    config = json.loads((tmp_path / "fast" / "config.json").read_text())
    assert "FastTeacher(ModuleTeacher('senior'" in config["teachers"]["senior"]
    assert (
        config["teacher_weights"]
        == json.loads((tmp_path / "plain" / "config.json").read_text())["teacher_weights"]
    )

    def elsewhere(teacher):
        return fast_teacher(teacher, toy.batch(2), compile=False)

    run(tmp_path / "fast", elsewhere, "auto")


def test_its_figures_are_told_and_never_compared(toy):
    options = {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.1), "options": {}, "config": {}}
    first, second = quick(toy.primary(), toy.batch()), quick(toy.primary(), toy.batch(2), fold_batchnorm=False)
    assert first.figures.keys() == {"agreement/primary/heatmap"}
    assert first.figures != second.figures
    assert toy.primary().figures == {}
    described = [
        describe_run(Distiller(toy.student(), curriculum(one, toy.senior())), **options) for one in (first, second)
    ]
    assert described[0] == described[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_is_moved_to_and_fro_without_being_compiled_again(toy):
    device = torch.device("cuda")
    batch = {name: value.to(device) for name, value in toy.batch().items()}
    counter = graphs()
    fast = fast_teacher(toy.primary(), batch, compile={"backend": counter})
    assert fast.conversions[0].dtype == (
        torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float32
    )
    expected = fast.targets(batch)["heatmap"]
    for _ in range(2):
        fast.to(torch.device("cpu"))
        assert {value.device.type for value in fast.parameters()} == {"cpu"}
        fast.to(device)
        torch.testing.assert_close(fast.targets(batch)["heatmap"], expected)
    assert counter.frame_count == 1
