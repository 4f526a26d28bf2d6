"""What is read from traces: of the real profiler on the CPU, and of a GPU's as it would write one."""

import doctest

import pytest
import torch
from torch import nn
from torch.profiler import profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.profiling import breakdown, kinds, tables
from benchmarks.profiling.breakdown import break_down
from benchmarks.profiling.convolutions import convolution, convolution_kinds
from benchmarks.profiling.marks import STEP, STUDENT, TEACHER, Marked, marked_backward
from benchmarks.profiling.memory import step_memory
from benchmarks.profiling.peaks import Peaks
from benchmarks.profiling.trace import Operator, Trace, nest

PEAKS = Peaks(flops=1e9, bandwidth=1e8, product=1e9, convolution=1e9, dtype="float32")


def traced(tmp_path, step, steps=1, **options):
    with marked_backward(), profile(activities=[torch.profiler.ProfilerActivity.CPU], **options) as run:
        for _ in range(steps):
            with record_function(STEP):
                step()
    run.export_chrome_trace(str(tmp_path / "trace.json"))
    return Trace.read(tmp_path / "trace.json")


def test_an_operators_own_time_is_what_those_inside_it_leave():
    calls = [
        Operator("outer", 0, 10, 1),
        Operator("a", 1, 4, 1),
        Operator("inner", 2, 3, 1),
        Operator("b", 4, 6, 1),
    ]
    calls.append(Operator("elsewhere", 2, 9, 2))
    found = {one.name: one for one in nest(calls)}
    assert {name: one.own for name, one in found.items()} == {
        "outer": 5,
        "a": 2,
        "inner": 1,
        "b": 2,
        "elsewhere": 7,
    }
    assert [one.name for one in found["inner"].callers()] == ["inner", "a", "outer"]


def event(category, name, start, length, thread=1, **said):
    return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": length, "tid": thread, "args": said}


def launch(correlation, at, kernel, start, length, thread=1, category="kernel"):
    """Return a kernel and its launch."""
    return [
        event("cuda_runtime", "cudaLaunchKernel", at, 1, thread, correlation=correlation),
        event(category, kernel, start, length, 7, correlation=correlation),
    ]


GPU_STEP = [
    event("user_annotation", STEP, 0, 100),
    event("user_annotation", TEACHER, 5, 15),
    event("user_annotation", STUDENT, 20, 20),
    event("user_annotation", "backward", 50, 20),
    event("user_annotation", "Optimizer.step#Adam.step", 75, 10),
    # The layout that a convolution changes by itself, then the convolution.
    event("cpu_op", "aten::cudnn_convolution", 6, 8),
    *launch(1, 7, "nchwToNhwcKernel", 10, 5),
    *launch(2, 9, "sm90_xmma_fprop", 15, 30),
    *launch(3, 22, "triton_poi_fused_relu", 45, 10),
    # After the student's forward and before the backward: the losses.
    event("cpu_op", "aten::mse_loss", 44, 4),
    *launch(4, 45, "vectorized_elementwise_kernel", 60, 5),
    # Autograd launches from a thread of its own, and the device runs it when the host has gone on.
    event("cpu_op", "autograd::engine::evaluate_function: ConvolutionBackward0", 52, 10, thread=2),
    event("cpu_op", "aten::convolution_backward", 53, 8, thread=2),
    *launch(5, 55, "some_kernel", 110, 40, thread=2),
    event("cpu_op", "aten::_fused_adam_", 76, 5),
    *launch(6, 77, "multi_tensor_apply_kernel", 145, 15),
    *launch(7, 90, "Memcpy DtoH", 170, 2, category="gpu_memcpy"),
    # Of the next step.
    *launch(8, 120, "sm90_xmma_fprop", 180, 30),
]


def test_a_gpus_kernels_belong_to_the_part_that_launched_them():
    found = break_down(Trace.of_events(GPU_STEP), gpu=True)

    def microseconds(seconds):
        return {name: round(value * 1e6, 6) for name, value in seconds.items() if value}

    assert microseconds(found.parts) == {
        "teacher": 35,
        "student forward": 10,
        "losses": 5,
        "backward": 40,
        "optimizer": 15,
        "rest": 2,
    }
    assert microseconds(found.kinds) == {
        "convolution": 70,
        "compiled": 10,
        "copies, casts": 7,
        "optimizer": 15,
        "other": 5,
    }
    assert found.calls == 7
    assert found.seconds == pytest.approx(162e-6)
    # From 55 to 60, 65 to 110 and 160 to 170; two kernels overlap from 145 to 150.
    assert found.idle == pytest.approx(60e-6)


def test_a_gpus_step_without_kernels_is_refused():
    with pytest.raises(ValueError, match="no kernel"):
        break_down(Trace.of_events(GPU_STEP[:5]), gpu=True)
    with pytest.raises(ValueError, match="no mark 'step'"):
        break_down(Trace.of_events([]), gpu=False)


def test_a_cpus_parts_and_kinds_are_the_whole_step(tmp_path):
    torch.manual_seed(0)
    network, teacher = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3).requires_grad_(False)
    student, senior = Marked(STUDENT, network), Marked(TEACHER, teacher)
    optimizer, image = torch.optim.SGD(network.parameters(), lr=0.1), torch.rand(2, 3, 16, 16)

    def step():
        optimizer.zero_grad()
        target = senior(image)
        ((student(image) - target) ** 2).mean().backward()
        optimizer.step()

    found = break_down(traced(tmp_path, step, steps=3), gpu=False, skip=1)
    assert sum(found.parts.values()) == pytest.approx(found.seconds)
    assert sum(found.kinds.values()) + found.idle == pytest.approx(found.seconds)
    assert all(value > 0 for value in found.parts.values())
    assert all(found.kinds[kind] > 0 for kind in ("convolution", "optimizer", "other"))
    assert 0 < found.idle < found.seconds


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(4, 8, 3, padding=1), "3x3"),
        (nn.Conv2d(4, 6, 1), "1x1"),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1, dilation=2), "3x3, stride 2"),
        (nn.Conv2d(4, 8, 5, groups=2), "5x5, grouped"),
        (nn.Conv2d(4, 4, 3, groups=4), "3x3, depthwise"),
        (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), "4x4, stride 2, transposed"),
    ],
    ids=str,
)
def test_a_convolutions_arithmetic_is_that_of_torchs_counter(tmp_path, layer, kind):
    image = torch.rand(2, 4, 15, 11, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        output = layer(image)
        forward = counter.get_total_flops()
        output.sum().backward()
    trace = traced(tmp_path, lambda: layer(image).sum().backward(), record_shapes=True)
    there, back = sorted(convolution_kinds(trace, PEAKS, gpu=False), key=lambda one: one.backward)
    assert (there.kind, back.kind, there.backward, back.backward) == (kind, kind, False, True)
    assert there.calls == back.calls == 1
    assert there.flops == forward
    assert back.flops == 2 * forward
    if layer.groups == 1:  # torch's counter takes the weights' gradient of a grouped one for an ungrouped one's
        assert back.flops == counter.get_total_flops() - forward
    sizes = image.numel(), layer.weight.numel(), output.numel()
    assert there.bytes == 4 * sum(sizes)
    assert back.bytes == 4 * 2 * sum(sizes)
    assert there.seconds > 0
    # Ten operations a byte at these peaks.
    by_memory = there.flops < 10 * there.bytes
    assert there.memory_bound == by_memory
    assert there.least_seconds == pytest.approx(max(there.flops / 1e9, there.bytes / 1e8))


def test_a_picture_needs_no_gradient(tmp_path):
    layer, image = nn.Conv2d(3, 5, 3), torch.rand(1, 3, 8, 8)
    trace = traced(tmp_path, lambda: layer(image).sum().backward(), record_shapes=True)
    there, back = sorted(convolution_kinds(trace, PEAKS, gpu=False), key=lambda one: one.backward)
    assert back.flops == there.flops


def test_other_operators_are_no_convolutions():
    assert convolution(Operator("aten::relu", 0, 1, 1)) is None
    assert convolution(Operator("aten::convolution", 0, 1, 1)) is None  # no shapes


def test_memory_counts_what_the_backward_needs_and_the_peak(tmp_path):
    weight = torch.ones(1000, requires_grad=True)

    def step():
        weight.grad = None
        squared = weight**2  # weight is there already; exp keeps its result
        result = squared.exp().sum()
        torch.empty(5000)
        result.backward()

    at_backward, peak = step_memory(traced(tmp_path, step, steps=2, profile_memory=True), gpu=False)
    # squared, its exponential and the sum; beside squared and weight's old gradient, 5000 more.
    assert 4 * 2000 <= at_backward < 4 * 2000 + 1024
    assert at_backward + 4 * 5000 <= peak < at_backward + 4 * 5000 + 1024


@pytest.mark.parametrize("module", [breakdown, kinds, tables], ids=lambda module: module.__name__)
def test_doctests(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
