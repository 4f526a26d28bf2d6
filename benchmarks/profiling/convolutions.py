"""Convolutions of a step by kernel size: arithmetic, bytes, time, and the time that the machine's peaks allow."""

import ast
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from benchmarks.profiling.marks import STEP
from benchmarks.profiling.peaks import Peaks
from benchmarks.profiling.trace import Operator, Trace

FORWARD, BACKWARD = "aten::convolution", "aten::convolution_backward"
BYTES = {"float": 4, "double": 8, "c10::BFloat16": 2, "c10::Half": 2}


@dataclass(frozen=True)
class Convolution:
    """One call.

    Attributes:
        kind: the kernel's size, its stride and groups: ``3x3, stride 2``.
        backward: whether it is the way back.
        flops: two a multiply-add.
        bytes: of inputs, weights and outputs, each moved once; on the way back the output's gradient twice, for
            the input's gradient and for the weights'.
    """

    kind: str
    backward: bool
    flops: int
    bytes: int


@dataclass(frozen=True)
class ConvolutionKind:
    """All calls of a kind and a direction in one step.

    Attributes:
        kind: as in :class:`Convolution`.
        backward: whether it is the way back.
        calls: how many.
        flops: together.
        bytes: together.
        seconds: what they took, profiled.
        least_seconds: what they would at the machine's peaks, each by the nearer of the two.
        memory_bound: the share of ``least_seconds`` of calls that the bandwidth bounds.
    """

    kind: str
    backward: bool
    calls: int
    flops: int
    bytes: int
    seconds: float
    least_seconds: float
    memory_bound: float


def convolution_kinds(trace: Trace, peaks: Peaks, *, gpu: bool) -> list[ConvolutionKind]:
    """Return the kinds of a trace's last step, the longest first."""
    step = trace.named(STEP)[-1]
    on_device: dict[int, float] = defaultdict(float)
    for kernel in trace.kernels:
        for operator in () if kernel.operator is None else kernel.operator.callers():
            on_device[id(operator)] += kernel.end - kernel.start
    groups: dict[tuple[str, bool], list[tuple[Convolution, float]]] = defaultdict(list)
    for operator in trace.operators:
        if step.holds(operator.start) and (call := convolution(operator)) is not None:
            seconds = on_device[id(operator)] if gpu else operator.seconds
            groups[call.kind, call.backward].append((call, seconds))
    kinds = [_together(calls, peaks) for calls in groups.values()]
    return sorted(kinds, key=lambda kind: -kind.seconds)


def convolution(operator: Operator) -> Convolution | None:
    """Return the convolution that an operator is, from its recorded shapes; None where it is none."""
    if operator.name not in (FORWARD, BACKWARD) or "Input Dims" not in operator.arguments:
        return None
    shapes, said = operator.arguments["Input Dims"], operator.arguments["Concrete Inputs"]
    size = BYTES.get(operator.arguments["Input type"][0], 4)
    if operator.name == FORWARD:
        image, weight = shapes[0], shapes[1]
        stride, padding, dilation, transposed, extra, groups = (_value(one) for one in said[3:9])
        output = _output(image, weight, stride, padding, dilation, extra if transposed else None, groups)
        moved, times = prod(image) + prod(weight) + prod(output), 1
    else:
        output, image, weight = shapes[:3]
        stride, _, _, transposed, _, groups, wanted = (_value(one) for one in said[4:11])
        times = sum(wanted[:2])
        moved = times * prod(output)
        for needed, made in ((wanted[0], (weight, image)), (wanted[1], (image, weight))):
            moved += sum(map(prod, made)) if needed else 0
    # Each weight meets every place of the output, or, transposed, of the input.
    places = image if transposed else output
    macs = places[0] * prod(places[2:]) * prod(weight)
    name = "x".join(map(str, weight[2:])) + (f", stride {stride[0]}" if stride[0] > 1 else "")
    name += ", transposed" if transposed else ""
    if groups > 1:
        name += ", depthwise" if weight[1] == 1 else ", grouped"
    return Convolution(name, operator.name == BACKWARD, 2 * times * macs, size * moved)


def _output(
    image: Sequence[int],
    weight: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    extra: Sequence[int] | None,
    groups: int,
) -> list[int]:
    """Return the output's shape; ``extra`` is the output padding of a transposed convolution."""
    found = [image[0], weight[0] if extra is None else weight[1] * groups]
    for axis, length in enumerate(image[2:]):
        reach = dilation[axis] * (weight[2 + axis] - 1)
        if extra is None:
            found.append((length + 2 * padding[axis] - reach - 1) // stride[axis] + 1)
        else:
            found.append((length - 1) * stride[axis] - 2 * padding[axis] + reach + extra[axis] + 1)
    return found


def _value(said: str) -> Any:
    return ast.literal_eval(said)


def _together(calls: Sequence[tuple[Convolution, float]], peaks: Peaks) -> ConvolutionKind:
    first, least, by_memory = calls[0][0], 0.0, 0.0
    for call, _ in calls:
        arithmetic, memory = call.flops / peaks.flops, call.bytes / peaks.bandwidth
        least += max(arithmetic, memory)
        by_memory += memory if memory > arithmetic else 0.0
    return ConvolutionKind(
        first.kind,
        first.backward,
        len(calls),
        sum(call.flops for call, _ in calls),
        sum(call.bytes for call, _ in calls),
        sum(seconds for _, seconds in calls),
        least,
        by_memory / least if least else 0.0,
    )
