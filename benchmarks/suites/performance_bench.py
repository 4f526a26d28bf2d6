"""What each part of the trainer's performance is worth for HRNet-W16, against the trainer's default.

On the CPU the compiler, which works for minutes there, is left out. At toy size the GPU's parts run on the CPU,
uncompiled.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.measuring import Speed
from benchmarks.reference.kdkit_step import kdkit_step
from benchmarks.reference.random_batches import random_batches
from kdkit import Performance
from kdkit_pose import models

ADAM = partial(torch.optim.Adam, lr=1e-3, fused=False)
FUSED = partial(torch.optim.Adam, lr=1e-3, fused=True)
CPU_PARTS: dict[str, dict[str, Any]] = {
    "channels last": {"performance": Performance(channels_last=True)},
    "fused optimizer": {"optimizer": FUSED},
    "max": {"performance": "max", "optimizer": FUSED},
}
GPU_PARTS: dict[str, dict[str, Any]] = {
    **CPU_PARTS,
    "bf16": {"precision": "bf16"},
    "compiled": {"performance": Performance(compile=True)},
    "compiled, CUDA graphs": {"performance": Performance(compile="reduce-overhead")},
    "max, CUDA graphs": {
        "performance": Performance(channels_last=True, compile="reduce-overhead"),
        "precision": "bf16",
        "optimizer": FUSED,
    },
}


def compare_with_default(
    compare: Callable[..., Any],
    name: str,
    label: str,
    options: dict[str, Any],
    batches: list[dict[str, torch.Tensor]],
    folder: Path,
    toy: bool,
    **common: Any,
) -> None:
    """Let the trainer's step with some options and the one without take turns."""
    make = partial(models.create, "hrnet_w8_small" if toy else "hrnet_w16")
    candidates = {
        who: kdkit_step(make(), None, batches, folder / who, **{"optimizer": ADAM, **common, **chosen})
        for who, chosen in ((label, options), ("default", {}))
    }
    compare(f"{name}: {label}", candidates, Speed(), inputs=batches, seconds=15)


@pytest.mark.parametrize("label", CPU_PARTS)
def test_on_the_cpu(compare: Callable[..., Any], toy: bool, tmp_path: Path, label: str) -> None:
    batches = random_batches(3, 2 if toy else 16, (64, 64) if toy else (96, 128))
    name = "hrnet_w16, 128x96, batch 16, CPU"
    compare_with_default(compare, name, label, CPU_PARTS[label], batches, tmp_path, toy, cpu=True)


@pytest.mark.parametrize("label", GPU_PARTS)
def test_on_a_gpu(
    cuda_compare: Callable[..., Any], device: torch.device, toy: bool, tmp_path: Path, label: str
) -> None:
    options = dict(GPU_PARTS[label])
    if toy and isinstance(options.get("performance"), Performance):
        options["performance"] = Performance(channels_last=True)
    batches = random_batches(3, 2 if toy else 64, (64, 64) if toy else (192, 256), device=device)
    name = "hrnet_w16, 256x192, batch 64"
    compare_with_default(cuda_compare, name, label, options, batches, tmp_path, toy, cpu=device.type == "cpu")
