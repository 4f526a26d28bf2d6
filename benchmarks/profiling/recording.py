"""Profiles the variants of a setting: their times without the profiler, in turns, then each under it."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.measuring import CpuClock, CudaClock, Seconds, TakingTurns, Turns, commit, versions
from benchmarks.profiling.breakdown import break_down
from benchmarks.profiling.convolutions import convolution_kinds
from benchmarks.profiling.marks import STEP, marked_backward
from benchmarks.profiling.memory import Memory, held_bytes, step_memory
from benchmarks.profiling.peaks import measure_peaks
from benchmarks.profiling.records import Profile, VariantProfile
from benchmarks.profiling.setting import Setting
from benchmarks.profiling.trace import Trace
from benchmarks.profiling.variants import VARIANTS, Running, Variant
from kdkit import Batch

STEPS = 3
"""Profiled; one more before them is not counted."""


def record_profile(
    setting: Setting,
    *,
    variants: Sequence[Variant] = VARIANTS,
    rounds: int = 9,
    toy: bool = False,
    say: Callable[[str], object] = print,
) -> Profile:
    """Return the profile of a setting on this machine.

    Args:
        setting: what to run.
        variants: from before to after.
        rounds: in each, every variant takes one step; the median is kept.
        toy: whether only the code is tried, by one step of each.
        say: takes a line for each thing that begins.
    """
    say(f"{setting.name}: the machine's peaks")
    peaks = measure_peaks(torch.device(setting.device), setting.dtype, toy=toy)
    with tempfile.TemporaryDirectory() as folder:
        batches = setting.batches()
        running = {}
        for place, variant in enumerate(variants):
            say(f"{variant.name}: made")
            running[variant.name] = variant.make(setting, batches, Path(folder) / str(place))
        say("all: timed in turns")
        turns = _timed(running, batches, setting, 0 if toy else rounds)
        flops = {taught: setting.flops(taught=taught) for taught in {one.taught for one in variants}}
        found = []
        for variant in variants:
            say(f"{variant.name}: profiled")
            one, skip = running[variant.name], 0 if toy else 1
            trace = _trace(one, batches, 1 if toy else STEPS + skip, setting.gpu)
            found.append(
                VariantProfile(
                    variant.name,
                    variant.about,
                    *turns.estimate(Seconds(), variant.name, None),
                    flops[variant.taught],
                    break_down(trace, gpu=setting.gpu, skip=skip),
                    _memory(one, batches, setting.gpu),
                    tuple(convolution_kinds(trace, peaks, gpu=setting.gpu)),
                )
            )
    clock, date = _clock(setting).name, datetime.now(UTC).date().isoformat()
    threads = torch.get_num_threads()
    return Profile(setting, peaks, tuple(found), threads, turns.rounds, clock, commit(), date, versions())


def _clock(setting: Setting) -> CpuClock | CudaClock:
    return CudaClock() if setting.gpu else CpuClock()


def _timed(running: Mapping[str, Running], batches: Sequence[Batch], setting: Setting, rounds: int) -> Turns:
    """Return the times of all variants' steps in turns; of one round that warms nothing up, for 0."""
    turns = TakingTurns({name: one.step for name, one in running.items()}, _clock(setting), inputs=batches)
    if rounds:
        turns.warm_up(3 if setting.gpu else 2)
    for _ in range(max(rounds, 1)):
        turns.round()
    return turns.turns()


def _trace(running: Running, batches: Sequence[Batch], steps: int, gpu: bool, *, memory: bool = False) -> Trace:
    """Return the trace of some steps; as in a loop, the host does not wait for the device between them."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with marked_backward(), profile(activities=activities, record_shapes=not memory, profile_memory=memory) as run:
        for batch in islice(cycle(batches), steps):
            with record_function(STEP):
                running.step(batch)
        if gpu:
            torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        run.export_chrome_trace(str(path))
        return Trace.read(path)


def _memory(running: Running, batches: Sequence[Batch], gpu: bool) -> Memory:
    running.optimizer.zero_grad()
    at_backward, peak = step_memory(_trace(running, batches, 2, gpu, memory=True), gpu=gpu)
    state = [value for one in running.optimizer.state.values() for value in one.values()]
    gradients = [value for value in running.student.parameters() if value.requires_grad]
    student = held_bytes([*running.student.parameters(), *running.student.buffers()])
    return Memory(
        student, held_bytes(running.weights), held_bytes(state), held_bytes(gradients), at_backward, peak
    )
