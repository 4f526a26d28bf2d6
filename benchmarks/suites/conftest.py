"""Fixtures of the suites.

A suite is a file ``*_bench.py`` of pytest functions, each of which measures something by one of these:

- ``compare(name, {label: callable}, target=Speed(at_least=0.95))``: candidates take turns in this process. The
  first label is judged against the second; ``target={label: Target}`` judges it against several. With
  ``Seconds`` or ``PerSecond`` one candidate is enough.
- ``cuda_compare(...)``, the same, by device events: skips without a GPU. ``inputs=[...]`` gives several input
  sets; the callables get one after the other.
- ``measure(name, value, unit, at_most=330)``: what is counted and not timed.

``toy`` is true where only the code is tried (``--toy``): choose sizes by it. Then each candidate runs once,
``cuda_compare`` falls back to the CPU, and nothing is recorded unless ``--results`` says where. ``device`` is what
CUDA suites run on, ``one_core`` keeps torch and OpenCV on one core.

    python -m pytest -c benchmarks/suites/pytest.ini benchmarks/suites -m "not gpu"
    python -m pytest -c benchmarks/suites/pytest.ini benchmarks/suites/cache_bench.py --toy
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from rich.console import Console

from benchmarks.measuring import (
    Bounds,
    Clock,
    CpuClock,
    CudaClock,
    Figure,
    Machine,
    Record,
    TakingTurns,
    Target,
    Turns,
    commit,
    judge,
    keep,
    print_table,
    rounds_within,
    versions,
)

RESULTS = Path(__file__).parents[1] / "results"
NO_GPU = "no CUDA device; --toy tries the code on the CPU"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("suites")
    group.addoption("--toy", action="store_true", help="one round at toy size, to try the code; records nothing")
    group.addoption("--machine", help="the machine's name in the results; made of its processor by default")
    group.addoption("--results", type=Path, help=f"folder of the files of results; {RESULTS.name}/ by default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "device" in getattr(item, "fixturenames", ()):  # cuda_compare has it, too
            item.add_marker("gpu")


class Recorder:
    """Takes what the suites find, and keeps it in the machine's file at once."""

    def __init__(self, config: pytest.Config) -> None:
        self.toy: bool = config.getoption("--toy")
        given: Path | None = config.getoption("--results")
        self.folder = given or (None if self.toy else RESULTS)
        self.machine = Machine.here(config.getoption("--machine"))
        self.commit, self.versions = commit(), versions()
        self.records: list[Record] = []

    def add(self, suite: str, name: str, figures: Sequence[Figure], **measured: Any) -> None:
        date = datetime.now(UTC).date().isoformat()
        record = Record(suite, name, tuple(figures), self.commit, date, versions=self.versions, **measured)
        self.records.append(record)
        if self.folder is not None:
            keep(self.folder, self.machine, record)


RECORDER = pytest.StashKey[Recorder]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORDER] = Recorder(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    recorder = config.stash[RECORDER]
    if recorder.records:
        width, colours = max(terminalreporter._tw.fullwidth, 100), terminalreporter.hasmarkup
        text = io.StringIO()
        print_table(recorder.records, Console(file=text, width=width, force_terminal=colours))
        toy = " (toy size: the figures say nothing)" if recorder.toy else ""
        terminalreporter.section(recorder.machine.name + toy)
        terminalreporter.write(text.getvalue())


@pytest.fixture(scope="session")
def toy(request: pytest.FixtureRequest) -> bool:
    """Whether the code is only tried, at toy size."""
    return request.config.stash[RECORDER].toy


@pytest.fixture
def device(toy: bool) -> torch.device:
    """The CUDA device; at toy size, the CPU where there is none."""
    if not torch.cuda.is_available() and not toy:
        pytest.skip(NO_GPU)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def one_core() -> Iterator[None]:
    """Keep torch and OpenCV on one core."""
    threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv2_threads)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Record what is counted."""

    def record(
        name: str,
        value: float,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        what: str = "size",
        of: str = "kdkit",
    ) -> None:
        bounds = Bounds(at_least, at_most)
        figure = Figure(of, None, what, unit, value, met=bounds.met(value), **asdict(bounds))
        _recorder(request).add(_suite(request), name, [figure])

    return record


@pytest.fixture
def compare(request: pytest.FixtureRequest, benchmark: Any) -> Callable[..., Turns]:
    """Let candidates take turns by the host's clock, and record what comes out."""
    return _comparison(request, benchmark, CpuClock())


@pytest.fixture
def cuda_compare(request: pytest.FixtureRequest, benchmark: Any, device: torch.device) -> Callable[..., Turns]:
    """Let candidates take turns by device events, and record what comes out."""
    return _comparison(request, benchmark, CudaClock() if device.type == "cuda" else CpuClock())


def _comparison(request: pytest.FixtureRequest, benchmark: Any, clock: Clock) -> Callable[..., Turns]:
    """Return the function that suites call, once in a test, as pytest-benchmark wants it."""

    def run(
        name: str,
        candidates: Mapping[str, Callable[..., object]],
        target: Target | Mapping[str, Target],
        *,
        inputs: Sequence[Any] | None = None,
        calls: int = 1,
        seconds: float = 10.0,
        rounds: int | None = None,
        warmup: int = 3,
    ) -> Turns:
        """Measure, record, and return what each candidate took.

        Args:
            name: of the measurement; with the suite's name, what it is found by.
            candidates: what to call, by label; the first is the one that is judged.
            target: of the first against the second, or of the first against each of several.
            inputs: what the candidates are called with, in turn.
            calls: calls of a candidate in one timing.
            seconds: what all rounds together should take; there are 7 at least and 200 at most.
            rounds: their number, instead.
            warmup: rounds before, which are not counted; 0 only where ``rounds`` are given.
        """
        recorder = _recorder(request)
        taking = TakingTurns(candidates, clock, inputs=inputs, calls=1 if recorder.toy else calls)
        one = 0.0 if recorder.toy else taking.warm_up(warmup)
        count = 1 if recorder.toy else rounds or rounds_within(seconds, one)
        benchmark.pedantic(taking.round, rounds=count)
        turns = taking.turns()
        figures = judge(turns, target)
        benchmark.extra_info.update(candidates=turns.medians, figures=[asdict(figure) for figure in figures])
        recorder.add(
            _suite(request),
            name,
            figures,
            candidates=turns.medians,
            rounds=turns.rounds,
            threads=torch.get_num_threads(),
            clock=clock.name,
        )
        return turns

    return run


def _recorder(request: pytest.FixtureRequest) -> Recorder:
    return request.config.stash[RECORDER]


def _suite(request: pytest.FixtureRequest) -> str:
    return request.path.stem.removesuffix("_bench")
