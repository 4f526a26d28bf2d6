"""What a step's time went into."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.profiling.kinds import KINDS, is_operator, kind_of_kernel, kind_of_operator
from benchmarks.profiling.marks import STEP
from benchmarks.profiling.parts import PARTS, StepParts
from benchmarks.profiling.trace import Mark, Trace


@dataclass(frozen=True)
class Breakdown:
    """What a step's time went into, in seconds of the profiled step.

    Attributes:
        seconds: of the step: the host's on a CPU; on a GPU from its first kernel's begin to its last one's end.
        parts: by part. On a CPU they are the whole step; on a GPU the kernels that the host launched in it.
        kinds: by kind of operator.
        idle: on a CPU outside of all operators, on a GPU without any kernel.
        calls: outermost operators on a CPU, kernels on a GPU.
    """

    seconds: float
    parts: dict[str, float]
    kinds: dict[str, float]
    idle: float
    calls: int

    def share(self, seconds: float) -> float:
        """Return seconds as a share of the step."""
        return seconds / self.seconds if self.seconds else 0.0


def break_down(trace: Trace, *, gpu: bool, skip: int = 0) -> Breakdown:
    """Return the mean of a trace's steps, without the first ``skip``.

    Raises:
        ValueError: there is no step in the trace, or none with a kernel where the GPU's time is asked for.
    """
    steps = trace.named(STEP)[skip:]
    if not steps:
        raise ValueError(f"the trace has no mark '{STEP}' after the first {skip}")
    found = [_of_gpu(trace, step) if gpu else _of_cpu(trace, step) for step in steps]
    return Breakdown(
        mean(one.seconds for one in found),
        _mean_of([one.parts for one in found]),
        _mean_of([one.kinds for one in found]),
        mean(one.idle for one in found),
        round(mean(one.calls for one in found)),
    )


def _of_cpu(trace: Trace, step: Mark) -> Breakdown:
    parts, kinds, calls = StepParts(step, trace.marks), dict.fromkeys(KINDS, 0.0), 0
    for one in trace.operators:
        if step.holds(one.start) and is_operator(one):
            kinds[kind_of_operator(one.name, parts.at(one.start))] += one.own
            calls += not any(is_operator(caller) for caller in list(one.callers())[1:])
    seconds = step.end - step.start
    return Breakdown(seconds, parts.seconds(), kinds, seconds - sum(kinds.values()), calls)


def _of_gpu(trace: Trace, step: Mark) -> Breakdown:
    kernels = [kernel for kernel in trace.kernels if step.holds(kernel.launched)]
    if not kernels:
        raise ValueError("a step of the trace has no kernel: was it recorded on a GPU?")
    of_step = StepParts(step, trace.marks)
    parts, kinds = dict.fromkeys(PARTS, 0.0), dict.fromkeys(KINDS, 0.0)
    for kernel in kernels:
        part = of_step.at(kernel.launched)
        parts[part] += kernel.end - kernel.start
        kinds[kind_of_kernel(kernel, part)] += kernel.end - kernel.start
    seconds = max(kernel.end for kernel in kernels) - min(kernel.start for kernel in kernels)
    busy = covered((kernel.start, kernel.end) for kernel in kernels)
    return Breakdown(seconds, parts, kinds, seconds - busy, len(kernels))


def covered(ranges: Iterable[tuple[float, float]]) -> float:
    """Return the length that ranges cover, each piece once.

    >>> covered([(0, 2), (1, 3), (5, 6)])
    4.0
    """
    total, reached = 0.0, float("-inf")
    for start, end in sorted(ranges):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total


def _mean_of(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: mean(one[key] for one in found) for key in found[0]}
