import copy
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import Tensor

from kdkit import (
    BatchError,
    Binarize,
    CheckpointError,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    Linear,
    Magnitude,
    ModuleTeacher,
    Resize,
    Stage,
    Steps,
    Supervise,
    Teacher,
    TeacherRegion,
    losses,
)


class Recorder(Teacher):
    """Counts its calls and remembers where it was put."""

    def __init__(self, name: str) -> None:
        self.name, self.reads, self.outputs = name, ("image",), ("heatmap", "other")
        self.calls = 0
        self.devices: list[str] = []

    def targets(self, batch) -> dict[str, Tensor]:
        self.calls += 1
        return {name: torch.zeros(len(batch["image"]), 5, 8, 6) for name in self.outputs}

    def to(self, device: torch.device) -> "Recorder":
        self.devices.append(str(device))
        return self


def one_stage(*objectives, until=None, **options) -> Curriculum:
    return Curriculum(Stage("only", objectives, until or Epochs(2), **options))


def total(toy, *objectives) -> Tensor:
    return Distiller(toy.student().eval(), one_stage(*objectives))(toy.batch()).total


def test_total_is_the_sum_of_weighted_parts(toy):
    distiller = toy.distiller()
    distiller.student.eval()
    batch = toy.batch()
    step = distiller(batch)
    torch.testing.assert_close(step.total.detach(), sum(step.parts.values()))
    prediction = distiller.student(batch)["heatmap"]
    target = distiller.teachers[0].targets(batch)["heatmap"]
    expected = 0.5 * ((prediction - target) ** 2 * batch["visible"][:, :, None, None]).mean()
    torch.testing.assert_close(step.parts["distill/primary/heatmap"], expected.detach())
    assert step.weights == {"supervise/heatmap": 0.5, "distill/primary/heatmap": 0.5}
    assert step.samples["supervise/heatmap"].shape == (4,)


def test_weight_zero_equals_absent_and_is_never_run(toy):
    recorder = Recorder("silent")
    plain = total(toy, Supervise("heatmap", losses.mse))
    with_zero = total(toy, Supervise("heatmap", losses.mse), Distill(recorder, "heatmap", losses.mse, weight=0))
    assert torch.equal(plain, with_zero)
    assert recorder.calls == 0


def test_the_weights_of_now_are_those_that_count(toy):
    distiller = toy.distiller()
    batch, weights = toy.batch(), {"supervise/heatmap": 0.25}
    assert distiller.weights == distiller(batch).weights
    step = distiller.compute_losses(batch, weights)
    assert step.weights == weights
    assert list(step.parts) == ["supervise/heatmap"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_weight_in_a_tensor_is_the_number_to_the_bit(toy, dtype):
    def loss(prediction, target):
        return losses.mse(prediction, target).to(dtype)

    stage = Stage("a", [Supervise("heatmap", loss, weight=0.3)], until=Epochs(1))
    distiller, batch = Distiller(toy.student(), Curriculum(stage)), toy.batch()
    distiller.student.eval()  # without dropout
    found = []
    for weights, scales in (({"supervise/heatmap": 0.3}, None), ({"supervise/heatmap": 9.0}, 0.3)):
        laid = None if scales is None else {"supervise/heatmap": torch.tensor(scales, dtype=torch.float64)}
        step = distiller.compute_losses(batch, weights, laid)
        assert step.total.dtype == torch.promote_types(dtype, torch.float32)
        found.append([step.total, *torch.autograd.grad(step.total, list(distiller.student.parameters()))])
    assert all(map(torch.equal, *found))


def test_a_ramp_from_zero_runs_its_teacher_only_once_above_zero(toy):
    recorder = Recorder("ramped")
    curriculum = one_stage(
        Supervise("heatmap", losses.mse),
        Distill(recorder, "heatmap", losses.mse, weight=Linear(0.0, 1.0)),
        until=Steps(4),
    )
    distiller = Distiller(toy.student(), curriculum)
    calls = []
    while not curriculum.finished:
        step = distiller(toy.batch())
        calls.append((recorder.calls, step.weights.get("distill/ramped/heatmap", 0.0)))
        distiller.advance()
    assert calls == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]


def test_a_stage_whose_weights_are_all_zero_for_now_can_be_stepped(toy):
    curriculum = one_stage(Supervise("heatmap", losses.mse, weight=Linear(0.0, 1.0)), until=Steps(2))
    distiller = Distiller(toy.student(), curriculum)
    step = distiller(toy.batch())
    step.total.backward()
    assert step.total == 0
    assert all(not parameter.grad.any() for parameter in distiller.student.parameters())


def test_a_teacher_of_two_objectives_is_run_once(toy):
    recorder = Recorder("busy")
    total(
        toy,
        Distill(recorder, "heatmap", losses.mse),
        Distill(recorder, "heatmap", losses.l1, target="other", name="second"),
    )
    assert recorder.calls == 1


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 1, 8, 6)])
def test_an_all_ones_region_equals_none(toy, shape):
    batch = {**toy.batch(), "ones": torch.ones(shape)}
    values = []
    for region in (None, "ones", lambda batch: batch["ones"]):
        distiller = Distiller(toy.student().eval(), one_stage(Supervise("heatmap", losses.mse, region=region)))
        values.append(distiller(batch).total)
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])


def test_the_transform_applies_to_teacher_and_truth_alike(toy):
    teacher = toy.primary()
    batch = toy.batch()
    student = toy.student().eval()
    curriculum = one_stage(
        Supervise("heatmap", losses.mse, transform=Binarize(0.5)),
        Distill(teacher, "heatmap", losses.mse, transform=Binarize(0.1)),
    )
    step = Distiller(student, curriculum)(batch)
    prediction = student(batch)["heatmap"].detach()
    truth = (prediction - (batch["heatmap"] >= 0.5).float()).square().mean()
    taught = (prediction - (teacher.targets(batch)["heatmap"] >= 0.1).float()).square().mean()
    torch.testing.assert_close(step.parts["supervise/heatmap"], truth)
    torch.testing.assert_close(step.parts["distill/primary/heatmap"], taught)


def test_only_the_active_stages_teachers_are_on_the_device(toy):
    first, second, unused = Recorder("first"), Recorder("second"), Recorder("unused")
    objectives = [Distill(t, "heatmap", losses.mse) for t in (first, second)]
    idle = Distill(unused, "heatmap", losses.mse, weight=0.0)
    curriculum = Curriculum(
        Stage("1", [objectives[0], idle], until=Steps(1)), Stage("2", [objectives[1]], until=Epochs(1))
    )
    distiller = Distiller(toy.student(), curriculum).to("meta")
    assert (first.devices[-1], second.devices[-1], unused.devices) == ("meta", "cpu", [])
    distiller.advance()
    assert (first.devices[-1], second.devices[-1]) == ("cpu", "meta")


def test_teachers_join_a_student_that_is_on_a_device_already(toy):
    teacher = Recorder("first")
    Distiller(toy.student().to("meta"), one_stage(Distill(teacher, "heatmap", losses.mse)))
    assert teacher.devices[-1] == "meta"


def test_counting_says_which_stage_it_began(toy):
    distiller = toy.distiller()
    second = distiller.curriculum.stages[1]
    assert distiller.advance() is None
    assert distiller.end_epoch() is None
    assert distiller.end_epoch() is second
    assert distiller.advance() is None
    assert distiller.end_epoch() is None
    assert distiller.end_epoch() is None  # the end of the run begins nothing
    assert distiller.curriculum.finished


def test_a_module_teacher_moves_its_whole_network(toy):
    teacher = toy.primary().to(torch.device("meta"))
    state = [*teacher.module.parameters(), *teacher.module.buffers()]
    assert {value.device.type for value in state} == {"meta"}


def test_resuming_puts_the_stages_teachers_on_the_device(toy):
    state = toy.distiller().state_dict()
    state["curriculum"]["index"] = 1
    distiller = toy.distiller()
    distiller.load_state_dict(state)
    assert distiller.stage.teachers == (distiller.teachers[1],)


def test_teachers_are_untouched_by_training(toy):
    distiller = toy.distiller()
    before = [copy.deepcopy(teacher.module.state_dict()) for teacher in distiller.teachers]
    optimizer = torch.optim.SGD(distiller.student.parameters(), lr=0.1)
    batch = toy.batch()
    while not distiller.curriculum.finished:
        distiller.student.train()
        for teacher in distiller.teachers:
            teacher.module.train()
        distiller(batch).total.backward()
        optimizer.step()
        distiller.advance()
        distiller.end_epoch()
    for teacher, state in zip(distiller.teachers, before, strict=True):
        for name, value in teacher.module.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_privileged_fields(toy):
    assert toy.distiller().privileged_fields == {"mask"}


def test_frozen_parts_follow_the_stage(toy):
    distiller = toy.distiller(freeze=["0"])
    assert distiller.student.module[0].weight.requires_grad
    distiller.end_epoch()
    distiller.end_epoch()
    assert not distiller.student.module[0].weight.requires_grad


def test_check_reports_and_changes_nothing(toy):
    distiller = toy.distiller()
    distiller.student.train()
    before = copy.deepcopy(distiller.student.state_dict())
    report = distiller.check(toy.batch())
    assert report.privileged == ("mask",)
    assert report.unused == ("id",)
    assert [(row.stage, row.objective) for row in report.objectives] == [
        ("primary", "supervise/heatmap"),
        ("primary", "distill/primary/heatmap"),
        ("senior", "supervise/heatmap"),
        ("senior", "distill/senior/heatmap"),
    ]
    assert all(row.loss > 0 and row.prediction == (4, 5, 8, 6) for row in report.objectives)
    assert "mask [4, 1, 8, 6] (privileged)" in str(report)
    assert distiller.student.training
    assert distiller.curriculum.steps == 0
    for name, value in distiller.student.state_dict().items():
        assert torch.equal(value, before[name])


def test_check_finds_what_a_later_stage_lacks(toy):
    batch = toy.batch()
    del batch["mask"]
    distiller = toy.distiller()
    distiller(batch)  # the first stage does not need it
    with pytest.raises(BatchError, match="'mask'"):
        distiller.check(batch)


def test_maps_of_another_size_need_resize(toy):
    half = torch.nn.Sequential(toy.network(), torch.nn.AvgPool2d(2))
    teacher = ModuleTeacher("half", half, "image", "heatmap")
    with pytest.raises(BatchError, match=r"'distill/half/heatmap'.*8x6.*4x3.*Resize\(8, 6\)"):
        total(toy, Distill(teacher, "heatmap", losses.mse))
    assert total(toy, Distill(teacher, "heatmap", losses.mse, transform=Resize(8, 6))) > 0


def test_a_missing_target_is_named(toy):
    with pytest.raises(BatchError, match="objective 'supervise/heatmap' reads the field 'depth'"):
        total(toy, Supervise("heatmap", losses.mse, target="depth"))


def test_compiled_equals_eager(toy):
    distiller = toy.distiller()
    distiller.student.eval()
    eager = distiller(toy.batch()).total
    distiller.run_student = torch.compile(distiller.student, backend="eager")
    assert torch.equal(distiller(toy.batch()).total, eager)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda toy: [Supervise("depth", losses.mse)], "the student has no output 'depth'"),
        (lambda toy: [Distill(toy.primary(), "heatmap", losses.mse, target="logits")], "has no output 'logits'"),
        (
            lambda toy: [
                Distill(Recorder("same"), "heatmap", losses.mse),
                Distill(Recorder("same"), "heatmap", losses.mse, name="other"),
            ],
            "two teachers are named 'same'",
        ),
        (
            lambda toy: [Supervise("heatmap", losses.mse, region=TeacherRegion("primary", "heatmap"))],
            r"TeacherRegion\('primary', 'heatmap'\) needs a teacher of the stage that gives 'heatmap'.*give \{\}",
        ),
        (
            lambda toy: [
                Distill(toy.primary(), "heatmap", losses.mse, region=TeacherRegion("primary", "confidence"))
            ],
            r"that gives 'confidence'.*give \{'primary': \['heatmap'\]\}",
        ),
    ],
)
def test_what_does_not_fit_is_known_at_construction(toy, build, words):
    with pytest.raises(ConfigurationError, match=words):
        Distiller(toy.student(), one_stage(*build(toy)))


def test_a_teacher_must_not_share_the_students_parameters(toy):
    student = toy.student()
    teacher = ModuleTeacher("self", student.module, "image", "heatmap")
    with pytest.raises(ConfigurationError, match=r"copy\.deepcopy"):
        Distiller(student, one_stage(Distill(teacher, "heatmap", losses.mse)))


def test_other_mistakes_at_construction(toy):
    curriculum = toy.curriculum()
    with pytest.raises(ConfigurationError, match="is not a Student"):
        Distiller(toy.network(), curriculum)
    with pytest.raises(ConfigurationError, match="'stem' to freeze"):
        toy.distiller(freeze=["stem"])
    with pytest.raises(ConfigurationError, match="is not a Teacher"):
        Distill(toy.network(), "heatmap", losses.mse)
    with pytest.raises(ConfigurationError, match="is not a function"):
        Supervise("heatmap", "mse")
    with pytest.raises(ConfigurationError, match="must be finite"):
        Supervise("heatmap", losses.mse, weight=float("nan"))
    with pytest.raises(ConfigurationError, match="reduction 'sum'"):
        Supervise("heatmap", losses.mse, reduction="sum")
    while not curriculum.finished:
        curriculum.end_epoch()
    with pytest.raises(ConfigurationError, match="finished"):
        Distiller(toy.student(), curriculum)


def test_repr_is_readable_and_repeatable(toy):
    objective = Supervise(
        "heatmap", partial(losses.smooth_l1, beta=0.5), region="visible", transform=Binarize(0.5)
    )
    assert repr(objective) == (
        "Supervise(supervise/heatmap: smooth_l1(beta=0.5), weight=Constant(value=1.0, over='stage'), "
        "region='visible', transform=Binarize(threshold=0.5))"
    )
    assert "0x" not in repr(toy.distiller())


def test_check_puts_the_active_stages_teachers_back(toy):
    shared = Recorder("shared")
    curriculum = Curriculum(
        Stage("a", [Distill(shared, "heatmap", losses.mse)], until=Epochs(1)),
        Stage("b", [Distill(shared, "heatmap", losses.mse)], until=Epochs(1)),
    )
    distiller = Distiller(toy.student(), curriculum)
    distiller._device = torch.device("cpu:0")  # stands for an accelerator
    distiller.check(toy.batch())
    assert shared.devices[-1] == "cpu:0"


def test_a_region_of_a_teacher_whose_own_objective_is_still_off_is_there(toy):
    recorder = Recorder("ramped")
    distiller = Distiller(
        toy.student(),
        one_stage(
            Supervise("heatmap", losses.mse, region=TeacherRegion("ramped", "other")),
            Distill(recorder, "heatmap", losses.mse, weight=Linear(0.0, 1.0)),
        ),
    )
    assert list(distiller(toy.batch()).parts) == ["supervise/heatmap"]
    assert recorder.calls == 1


def test_all_weights_zero_is_zero_even_if_an_output_is_infinite(toy):
    distiller = Distiller(
        toy.student(), one_stage(Distill(Recorder("off"), "heatmap", losses.mse, weight=Linear(0.0, 1.0)))
    )
    student = distiller.student
    distiller.run_student = lambda batch: {"heatmap": student(batch)["heatmap"] * float("inf")}
    step = distiller(toy.batch())
    assert float(step.total.detach()) == 0
    step.total.backward()


def test_a_state_of_other_balances_is_refused_and_moves_nothing(toy):
    def distiller(balance):
        return Distiller(toy.student(), one_stage(Supervise("heatmap", losses.mse, balance=balance)))

    balanced, plain = distiller(Magnitude()), distiller(None)
    balanced.advance()
    with pytest.raises(CheckpointError, match=r"a state for the balances \['balance:0'\], this one for \[\]"):
        plain.load_state_dict(balanced.state_dict())
    assert plain.curriculum.steps == 0
    with pytest.raises(CheckpointError, match="for the balances"):
        balanced.load_state_dict(plain.state_dict())
    assert balanced.curriculum.steps == 1


def test_what_the_user_put_into_eval_mode_stays_there(toy):
    student = toy.student()
    student.module[1].eval()
    Distiller(student, one_stage(Supervise("heatmap", losses.mse)))
    assert not student.module[1].training
    assert student.training


THAW = """
import sys
from functools import partial
from pathlib import Path
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
import kdkit as kd

def run(rank, folder, prepared):
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    torch.manual_seed(0)
    student = kd.Student(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)))
    truth = [kd.Supervise("heatmap", kd.losses.mse)]
    stages = kd.Stage("head", truth, kd.Steps(2), freeze=["0"]), kd.Stage("all", truth, kd.Steps(3))
    distiller = kd.Distiller(student, kd.Curriculum(*stages))
    wrap = partial(DDP, find_unused_parameters=True)
    if prepared:
        distiller.distribute(wrap)
    else:
        distiller.run_student = wrap(student)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    torch.manual_seed(rank)
    while not distiller.curriculum.finished:
        batch = {"image": torch.randn(2, 3, 4, 4), "heatmap": torch.randn(2, 2, 4, 4)}
        distiller(batch).total.backward()
        optimizer.step()
        optimizer.zero_grad()
        distiller.advance()
    weights = torch.cat([value.detach().flatten() for value in student.parameters()])
    both = [torch.empty_like(weights) for _ in range(2)]
    torch.distributed.all_gather(both, weights)
    assert torch.equal(*both), "the processes went apart"
    torch.distributed.barrier()
    del distiller
    torch.distributed.destroy_process_group()
    left = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
    # They would now and then abort the process as it ends.
    assert not [name for name in left if "gloo" in name], f"threads outlive their group: {left}"

if __name__ == "__main__":
    torch.multiprocessing.spawn(run, (sys.argv[1], sys.argv[2] == "prepared"), nprocs=2)
"""


@pytest.mark.parametrize("prepared", [True, False])
def test_parts_thawed_in_a_later_stage_stay_together_in_two_processes(tmp_path, prepared):
    script = tmp_path / "thaw.py"
    script.write_text(THAW, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path), "prepared" if prepared else "plain"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if prepared:
        assert run.returncode == 0, run.stderr
    else:
        assert "use distiller.distribute(...)" in run.stderr
