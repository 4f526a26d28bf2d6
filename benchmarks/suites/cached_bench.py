"""Distilling HRNet-W16 from cached targets, against training it without a teacher: 128x96, batch 16, on the CPU.

The cached step looks its records up by id and view, reads and decodes them, and has a second term in its loss.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import Speed
from benchmarks.reference.cached_discs import cached_discs
from benchmarks.reference.random_batches import random_batches
from benchmarks.reference.trainer_step import one_stage, trainer_step
from kdkit import Batch, CachedTeacher, Distiller
from kdkit_pose import models, pose_student


def test_hrnet_w16(compare: Callable[..., Any], toy: bool, tmp_path: Path) -> None:
    input_size = (64, 64) if toy else (96, 128)
    batches = random_batches(4, 2 if toy else 16, input_size)
    samples = sum(len(batch["id"]) for batch in batches)
    cache = cached_discs(tmp_path / "cache", samples, (input_size[0] // 4, input_size[1] // 4))
    teacher = CachedTeacher("senior", cache)

    def step(name: str, teacher: CachedTeacher | None) -> Callable[[Batch], None]:
        network = models.create("hrnet_w8_small" if toy else "hrnet_w16")
        distiller = Distiller(pose_student(network), one_stage(teacher))
        adam = partial(torch.optim.Adam, lr=1e-3)
        return trainer_step(distiller, batches, tmp_path / name, optimizer=adam, cpu=True)

    steps = {"cached distillation": step("cached", teacher), "plain training": step("plain", None)}
    name = "hrnet_w16, 128x96, batch 16, BitWindow(11)"
    compare(name, steps, Speed(at_least=0.95), inputs=batches, seconds=45)
