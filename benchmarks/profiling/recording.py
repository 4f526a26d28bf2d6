"""Profiles the variants of a setting: their times without the profiler, in turns, then each under it."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.measuring import CpuClock, CudaClock, Seconds, TakingTurns, commit, versions
from benchmarks.profiling.breakdown import break_down
from benchmarks.profiling.convolutions import convolution_kinds
from benchmarks.profiling.marks import STEP, marked_backward
from benchmarks.profiling.memory import Memory, held_bytes, step_memory
from benchmarks.profiling.peaks import measure_peaks
from benchmarks.profiling.records import Profile, VariantProfile
from benchmarks.profiling.setting import Setting
from benchmarks.profiling.trace import Trace
from benchmarks.profiling.variants import VARIANTS, Running
from kdkit import Batch

STEPS = 3
"""Profiled; one more before them is not counted."""


def record_profile(
    setting: Setting,
    *,
    rounds: int = 9,
    steps: int = STEPS,
    toy: bool = False,
    say: Callable[[str], object] = print,
) -> Profile:
    """Return the profile of a setting on this machine.

    Args:
        setting: what to run.
        rounds: in each, every variant takes one step; the median is kept.
        steps: profiled.
        toy: whether only the code is tried.
        say: takes a line for each thing that begins.
    """
    say(f"{setting.name}: the machine's peaks")
    peaks = measure_peaks(torch.device(setting.device), setting.dtype, toy=toy)
    with tempfile.TemporaryDirectory() as folder:
        batches = setting.batches()
        running = {}
        for place, variant in enumerate(VARIANTS):
            say(f"{variant.name}: made")
            running[variant.name] = variant.make(setting, batches, Path(folder) / str(place))
        clock = CudaClock() if setting.gpu else CpuClock()
        turns = TakingTurns({name: one.step for name, one in running.items()}, clock, inputs=batches)
        say("all: timed in turns")
        turns.warm_up(1 if toy else 3 if setting.gpu else 2)
        for _ in range(rounds):
            turns.round()
        times = turns.turns()
        flops = {taught: setting.flops(taught=taught) for taught in (False, True)}
        found = []
        for variant in VARIANTS:
            say(f"{variant.name}: profiled")
            one = running[variant.name]
            timed = times.estimate(Seconds(), variant.name, None)
            with _trace(one, batches, steps + 1, setting.gpu, memory=False) as trace:
                breakdown = break_down(trace, gpu=setting.gpu, skip=1)
                convolutions = tuple(convolution_kinds(trace, peaks, gpu=setting.gpu))
            memory = _memory(one, batches, setting.gpu)
            found.append(
                VariantProfile(
                    variant.name, variant.about, *timed, flops[variant.taught], breakdown, memory, convolutions
                )
            )
    date, threads = datetime.now(UTC).date().isoformat(), torch.get_num_threads()
    return Profile(setting, peaks, tuple(found), threads, times.rounds, clock.name, commit(), date, versions())


@contextmanager
def _trace(running: Running, batches: Sequence[Batch], steps: int, gpu: bool, *, memory: bool) -> Iterator[Trace]:
    """Give the trace of some steps; not synchronized between them, as in a loop."""
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
        yield Trace.read(path)


def _memory(running: Running, batches: Sequence[Batch], gpu: bool) -> Memory:
    running.optimizer.zero_grad()
    with _trace(running, batches, 2, gpu, memory=True) as trace:
        at_backward, peak = step_memory(trace, gpu=gpu)
    state = [value for one in running.optimizer.state.values() for value in one.values()]
    gradients = [value for value in running.student.parameters() if value.requires_grad]
    student = held_bytes([*running.student.parameters(), *running.student.buffers()])
    return Memory(
        student, held_bytes(running.weights), held_bytes(state), held_bytes(gradients), at_backward, peak
    )
