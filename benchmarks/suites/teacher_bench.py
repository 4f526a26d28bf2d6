"""What makes a teacher's targets cheaper: folded BatchNorms, channels innermost, one cast, the compiler."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.measuring import Speed
from benchmarks.reference.limit import best_teacher
from benchmarks.reference.random_batches import random_batches
from kdkit import Batch, Teacher, fast_teacher
from kdkit_pose import MaskAwareTeacher, models

TRIED = {"backend": "eager"}
"""At toy size: the compiler's front end only."""


def heatmaps(teacher: Teacher) -> Callable[[Batch], Tensor]:
    return lambda batch: teacher.targets(batch)["heatmap"]


def senior(name: str) -> MaskAwareTeacher:
    torch.manual_seed(0)
    network = models.create(name, mask_fusion="concat")
    # Heatmaps of a trained network's size, so that differences are compared with what is not next to nothing.
    network.state_dict()["final_layer.weight"].mul_(1000)
    return MaskAwareTeacher("senior", network)


def test_on_the_cpu(compare: Callable[..., Any], toy: bool) -> None:
    name = "hrnet_w8_small" if toy else "hrnet_w16_small"
    batches = random_batches(3, 2 if toy else 16, (32, 32) if toy else (96, 128))
    teacher = senior(name)

    def fast(**options: Any) -> Callable[[Batch], Tensor]:
        return heatmaps(fast_teacher(teacher, batches[0], **options))

    candidates = {
        "folded, channels last, compiled": fast(compile=TRIED if toy else True),
        "plain": heatmaps(teacher),
        "folded": fast(compile=False, channels_last=False),
        "folded, channels last": fast(compile=False),
        "folded, channels last, bfloat16": fast(compile=False, dtype=torch.bfloat16),
    }
    target = {label: Speed() for label in list(candidates)[1:]}
    compare("hrnet_w16_small + mask, 128x96, batch 16", candidates, target, inputs=batches, seconds=20)


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_on_a_gpu(cuda_compare: Callable[..., Any], device: torch.device, toy: bool, size: int) -> None:
    batches = random_batches(3, 2 if toy else size, (32, 32) if toy else (192, 256), device=device)
    teacher = senior("hrnet_w8_small" if toy else "hrnet_w48").to(device)
    compiled = fast_teacher(teacher, batches[0], dtype=torch.bfloat16, compile=not toy)
    by_hand = best_teacher(teacher.module, teacher.reads, compile_mode=None if toy else "default")

    def under_autocast(batch: Batch) -> Tensor:
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            heatmap: Tensor = teacher.module(*(batch[name] for name in teacher.reads))
        return heatmap

    candidates = {
        "fast_teacher": heatmaps(compiled),
        "cast and compiled by hand": by_hand,
        "float32 weights under autocast": under_autocast,
        "plain float32": heatmaps(teacher),
    }
    target = {label: Speed() for label in list(candidates)[1:]}
    cuda_compare(f"hrnet_w48 + mask, 256x192, bf16, batch {size}", candidates, target, inputs=batches, seconds=20)
