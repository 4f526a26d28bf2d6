"""A trace of torch's profiler: operators as they nest, marks, kernels with what launched them, and memory.

It is read from the file that ``profile.export_chrome_trace`` writes, which is the only place where kernels are
tied to the host's calls and memory to a moment.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAUNCHES = ("cuda_runtime", "cuda_driver")
DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
CUDA = 1  # torch's number of the device type


@dataclass
class Operator:
    """A call of an operator on the host.

    Attributes:
        name: as ``aten::convolution``.
        start: seconds, on the trace's clock.
        end: seconds.
        thread: the host's.
        arguments: ``Input Dims``, ``Input type`` and ``Concrete Inputs``, where shapes were recorded.
        parent: what it was called by; None outermost.
        own: seconds that none of its children took.
    """

    name: str
    start: float
    end: float
    thread: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parent: "Operator | None" = None
    own: float = 0.0

    @property
    def seconds(self) -> float:
        """From start to end."""
        return self.end - self.start

    def callers(self) -> Iterator["Operator"]:
        """Return the operator itself and what it was called by, outwards."""
        one: Operator | None = self
        while one is not None:
            yield one
            one = one.parent


@dataclass(frozen=True)
class Mark:
    """A named range on the host's clock, in seconds."""

    name: str
    start: float
    end: float

    def holds(self, moment: float) -> bool:
        """Return whether a moment is in it."""
        return self.start <= moment < self.end


@dataclass(frozen=True)
class Kernel:
    """Work of the device.

    Attributes:
        name: the kernel's, or what is copied from where to where.
        start: seconds, when the device began.
        end: seconds.
        launched: when the host asked for it.
        operator: what asked for it, innermost.
        copies: whether it is a copy or a filling.
    """

    name: str
    start: float
    end: float
    launched: float
    operator: Operator | None
    copies: bool


@dataclass(frozen=True)
class Allocation:
    """A moment at which memory was taken or given back; ``total`` are the bytes held after ``change``."""

    moment: float
    change: int
    total: int
    on_gpu: bool


@dataclass(frozen=True)
class Trace:
    """What was recorded, by start."""

    operators: tuple[Operator, ...]
    marks: tuple[Mark, ...]
    kernels: tuple[Kernel, ...] = ()
    allocations: tuple[Allocation, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Trace":
        """Return the content of a file of ``export_chrome_trace``."""
        return cls.of_events(json.loads(path.read_text(encoding="utf-8"))["traceEvents"])

    @classmethod
    def of_events(cls, events: Iterable[Mapping[str, Any]]) -> "Trace":
        """Return a trace of the file's events."""
        by_category: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for event in sorted(events, key=lambda event: float(event.get("ts", 0))):
            by_category[event.get("cat", "")].append(event)
        operators = nest(Operator(*_times(one), one["tid"], one.get("args", {})) for one in by_category["cpu_op"])
        return cls(
            tuple(operators),
            tuple(Mark(*_times(one)) for one in by_category["user_annotation"]),
            tuple(_kernels(by_category, operators)),
            tuple(_allocation(one) for one in by_category["cpu_instant_event"] if one["name"] == "[memory]"),
        )

    def named(self, name: str) -> list[Mark]:
        """Return the marks of a name."""
        return [mark for mark in self.marks if mark.name == name]


def nest(operators: Iterable[Operator]) -> list[Operator]:
    """Tell each operator what called it and which time is its own; return them by start."""
    found = sorted(operators, key=lambda one: (one.start, -one.end))
    open_calls: dict[int, list[Operator]] = defaultdict(list)
    for one in found:
        calls = open_calls[one.thread]
        while calls and calls[-1].end <= one.start:
            calls.pop()
        one.own = one.seconds
        if calls:
            one.parent = calls[-1]
            one.parent.own -= one.seconds
        calls.append(one)
    return found


def _kernels(by_category: Mapping[str, list[Mapping[str, Any]]], operators: list[Operator]) -> Iterator[Kernel]:
    launches = {}
    for category in LAUNCHES:
        for event in by_category.get(category, ()):
            launches[event["args"].get("correlation")] = (float(event["ts"]) / 1e6, event["tid"])
    threads: dict[int, list[Operator]] = defaultdict(list)
    for one in operators:
        threads[one.thread].append(one)
    starts = {thread: [one.start for one in calls] for thread, calls in threads.items()}
    work = [event for category in DEVICE_WORK for event in by_category.get(category, ())]
    for event in sorted(work, key=lambda event: float(event["ts"])):
        name, start, end = _times(event)
        launched, thread = launches.get(event["args"].get("correlation"), (start, None))
        operator = None
        if thread in threads:
            place = bisect_right(starts[thread], launched) - 1
            callers = threads[thread][place].callers() if place >= 0 else iter(())
            operator = next((one for one in callers if one.end >= launched), None)
        yield Kernel(name, start, end, launched, operator, event["cat"] != "kernel")


def _times(event: Mapping[str, Any]) -> tuple[str, float, float]:
    start = float(event["ts"]) / 1e6
    return event["name"], start, start + float(event.get("dur", 0)) / 1e6


def _allocation(event: Mapping[str, Any]) -> Allocation:
    said = event["args"]
    moment = float(event["ts"]) / 1e6
    return Allocation(moment, int(said["Bytes"]), int(said["Total Allocated"]), said["Device Type"] == CUDA)
