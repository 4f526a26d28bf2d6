"""A machine's measured peaks: arithmetic by a large product and a large convolution, bandwidth by a large copy."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from benchmarks.measuring import Clock, CpuClock, CudaClock

REPEATS = 12


@dataclass(frozen=True)
class Peaks:
    """What the machine reached at best.

    Attributes:
        flops: operations a second, two a multiply-add, by the better of ``product`` and ``convolution``.
        bandwidth: bytes a second, read and written.
        product: operations a second of the matrix product.
        convolution: those of the 3x3 convolution.
        dtype: what both computed in.
    """

    flops: float
    bandwidth: float
    product: float
    convolution: float
    dtype: str

    @property
    def ridge(self) -> float:
        """Operations a byte from which arithmetic bounds, not memory."""
        return self.flops / self.bandwidth


def measure_peaks(device: torch.device, dtype: torch.dtype, *, toy: bool = False) -> Peaks:
    """Return the best of some repeats of each."""
    gpu = device.type == "cuda"
    clock: Clock = CudaClock(flush=False) if gpu else CpuClock()
    side = 256 if toy else 8192 if gpu else 2048
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = 2 * side**3 / _best(clock, lambda: left @ right)
    batch, channels, height = (2, 16, 16) if toy else (64, 256, 64) if gpu else (16, 128, 32)
    image = torch.randn(batch, channels, height, height, device=device, dtype=dtype)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
    image, weight = (one.contiguous(memory_format=torch.channels_last) for one in (image, weight))
    operations = 2 * batch * height**2 * channels**2 * 9
    convolution = operations / _best(clock, lambda: F.conv2d(image, weight, padding=1))
    source = torch.ones(2**20 if toy else 2**30 if gpu else 2**27, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    bandwidth = 2 * source.numel() / _best(clock, lambda: target.copy_(source))
    name = str(dtype).removeprefix("torch.")
    return Peaks(max(product, convolution), bandwidth, product, convolution, name)


def _best(clock: Clock, work: Callable[[], object]) -> float:
    with torch.no_grad():
        work()
        return min(clock.seconds(work) for _ in range(REPEATS))
