"""How long a network takes, measured on the machine at hand."""

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdkit.errors import ConfigurationError
from kdkit_pose.evaluation.modes import evaluating
from kdkit_pose.models.description import as_pose_network

FEWEST, MOST = 3, 50


@dataclass(frozen=True)
class Latency:
    """What `measure_latency` found.

    Args:
        milliseconds: The median of the runs, of a whole batch.
        runs: How many runs were timed.
        batch: Images in a batch.
    """

    milliseconds: float
    runs: int
    batch: int


def measure_latency(
    network: nn.Module,
    batch: int = 1,
    input_size: tuple[int, int] = (192, 256),
    *,
    seconds: float = 2.0,
) -> Latency:
    """Time forward passes of random images: the median of several, after warm-up.

    The network is run where it is, in eval mode, without gradients and in its own precision; on a GPU each
    pass is timed by CUDA events. Its modes are as before afterwards.

    Args:
        network: From `create`.
        batch: Images at a time.
        input_size: Width and height of the input in pixels.
        seconds: How long to go on measuring: up to 50 passes, and no fewer than 3, or 1 where a single one
            takes longer than this.

    Raises:
        ConfigurationError: The network is not from `create`; a batch below 1.
        BatchError: The network cannot work on that size.
    """
    pose_network = as_pose_network(network)
    if batch < 1:
        raise ConfigurationError(f"batch is {batch}; at least 1 image is timed")
    parameter = next(pose_network.parameters())
    width, height = input_size
    channels = {"image": 3, "mask": 1}
    inputs = [
        torch.rand(batch, channels[name], height, width, dtype=parameter.dtype, device=parameter.device)
        for name in pose_network.inputs
    ]
    once = _on_gpu if parameter.device.type == "cuda" else _on_cpu
    with evaluating(pose_network):
        # The first pass prepares kernels and memory; the second is warm, and tells how many there is time for.
        once(lambda: pose_network(*inputs))
        first = once(lambda: pose_network(*inputs))
        fewest = 1 if first > seconds else FEWEST
        runs = min(MOST, max(fewest, int(seconds / max(first, 1e-9))))
        times = [first, *(once(lambda: pose_network(*inputs)) for _ in range(runs - 1))]
    return Latency(1000 * statistics.median(times), len(times), batch)


def describe_machine(device: torch.device) -> str:
    """Return what a measurement on the device depends on: the processor, PyTorch's version, and for a CPU the
    number of threads."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    threads = torch.get_num_threads()
    counted = f"{threads} thread{'' if threads == 1 else 's'}"
    return f"{_processor()}, {counted}, PyTorch {torch.__version__}"


def _on_cpu(forward: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    forward()
    return time.perf_counter() - start


def _on_gpu(forward: Callable[[], object]) -> float:
    """Return the seconds between the events before and after a call's kernels."""
    start: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    forward()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000


def _processor() -> str:
    """Return the processor's name; Linux keeps it in a file, Python knows little more than the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine() or "an unknown processor"
