"""How long a call takes: by the host's clock, or by events on a CUDA device."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch

FLUSHED = 256 * 2**20
"""Bytes written between two timings, so that nothing is left in the device's cache: several times an H200's."""


class Clock(ABC):
    """Times calls."""

    name: str

    @abstractmethod
    def seconds(self, work: Callable[[], object]) -> float:
        """Run ``work`` once and return how many seconds it took."""


class CpuClock(Clock):
    """The host's clock."""

    name = "host clock"

    def seconds(self, work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start


class CudaClock(Clock):
    """Events on a CUDA device's current stream: from before the first kernel to after the last.

    Args:
        flush: whether to empty the device's cache before each timing, outside of it.
    """

    name = "device events"

    def __init__(self, flush: bool = True) -> None:
        self._scratch = torch.empty(FLUSHED, dtype=torch.uint8, device="cuda") if flush else None

    def seconds(self, work: Callable[[], object]) -> float:
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        if self._scratch is not None:
            self._scratch.zero_()
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1000
